"""deploy/aws, applied to a local AWS, planned again without differences, and destroyed."""

import json
from datetime import timedelta

import boto3
import pytest

from include.orchestration.remote.jobs import RETRIES, Jobs
from include.orchestration.remote.operator import ENTRY
from include.orchestration.remote.place import Place

from .policies import FOLDER, text
from .terraform import REQUIRED, ROOT, local_aws, prepared

# One process applies and destroys it for all tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("terraform")]

HOUR = timedelta(hours=1)
STATUSES = {"SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"}
ACCOUNT = "123456789012"
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/recommender@sha256:{'0' * 64}"
VARIABLES = {
    **REQUIRED,
    "prefix": "shop",
    "notice_emails": ["ann@example.org"],
    "training_enabled": True,
    "training_image": IMAGE,
    "settings": {"RECOMMENDER_SCHEDULE": "@monthly"},
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with local_aws(tmp_path_factory.mktemp("aws") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def terraform(endpoint, tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("terraform") / "aws", endpoint)


@pytest.fixture(scope="module")
def applied(terraform):
    """Resources and outputs; at the end all of it is destroyed."""
    terraform.done("apply", "-auto-approve", "-input=false", "-no-color", **VARIABLES)
    yield terraform.shown()
    destroyed = terraform.done("destroy", "-auto-approve", "-input=false", "-no-color", **VARIABLES)
    assert "Destroy complete!" in destroyed.stdout
    assert json.loads(terraform.done("show", "-json").stdout).get("values", {}) == {}


@pytest.fixture(scope="module")
def resources(applied):
    return applied[0]


def test_a_second_plan_has_nothing_to_do(terraform, applied):
    process = terraform.run("plan", "-detailed-exitcode", "-input=false", "-no-color", **VARIABLES)
    assert process.returncode == 0, process.stdout[-4000:]


def test_a_budget_is_one_resource_more(terraform, applied):
    """The local AWS cannot read budgets back, so this one is planned only."""
    process = terraform.run("plan", "-input=false", "-no-color", **VARIABLES, monthly_budget_usd=200)
    assert "aws_budgets_budget.month[0] will be created" in process.stdout, process.stderr[-2000:]
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in process.stdout


def test_a_key_of_yours_encrypts_everything(terraform, applied):
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0123"
    planned = terraform.directory / "with-key"
    terraform.done("plan", "-input=false", "-no-color", f"-out={planned}", **VARIABLES, kms_key_arn=key)
    changes = json.loads(terraform.done("show", "-json", str(planned)).stdout)["resource_changes"]
    after = {row["address"]: row["change"]["after"] for row in changes}
    assert after["aws_sns_topic.notices"]["kms_master_key_id"] == key
    assert after["aws_cloudwatch_log_group.machine"]["kms_key_id"] == key
    (rule,) = after["aws_s3_bucket_server_side_encryption_configuration.store"]["rule"]
    assert (rule["bucket_key_enabled"], rule["apply_server_side_encryption_by_default"][0]["sse_algorithm"]) == (
        True,
        "aws:kms",
    )
    assert json.loads(after['aws_iam_policy.of["encryption"]']["policy"])["Statement"][0]["Resource"] == key
    assert {f'aws_iam_role_policy_attachment.{role}["encryption"]' for role in ("machine", "job")} <= set(after)


def test_outputs_say_the_next_steps(applied):
    resources, outputs = applied
    machine = resources["aws_instance.machine"]["id"]
    assert outputs["bucket"] == "s3://shop-recommender/shop"
    assert outputs["shell"] == f"aws ssm start-session --region us-east-1 --target {machine}"
    assert "portNumber=8080,localPortNumber=8080" in outputs["airflow"]
    assert "portNumber=8090,localPortNumber=8090" in outputs["api"]
    assert outputs["upload_a_snapshot"].endswith(" s3://shop-recommender/shop/snapshots/2018-10-01/")
    assert outputs["recommender_aws_batch"] == "recommender"
    assert outputs["image_repository"] == IMAGE.partition("@")[0]
    assert set(outputs["policies"]) == {"api", "operator", "reader", "retire"}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_rendered_policies_are_the_files(resources, name):
    expected = json.loads(text(name, bucket="shop-recommender", kms_key="none"))
    held = {
        "bucket": ("aws_s3_bucket_policy.store", "policy"),
        "notices": ("aws_sns_topic_policy.notices", "policy"),
    }
    address, field = held.get(name, (f'aws_iam_policy.of["{name}"]', "policy"))
    if name == "encryption":
        assert address not in resources  # only with a key
        return
    assert json.loads(resources[address][field]) == expected


def test_the_machine_is_closed_and_encrypted(resources):
    machine = resources["aws_instance.machine"]
    (options,) = machine["metadata_options"]
    assert (options["http_tokens"], options["http_put_response_hop_limit"]) == ("required", 2)
    (disk,) = machine["root_block_device"]
    assert (disk["encrypted"], disk["volume_type"], disk["volume_size"]) == (True, "gp3", 100)
    assert machine["key_name"] in ("", None)
    group = resources["aws_security_group.machine"]
    assert machine["vpc_security_group_ids"] == [group["id"]]
    assert group["ingress"] == []
    assert not any("ingress_rule" in address for address in resources)


def test_the_bucket_is_closed_versioned_and_cleaned(resources):
    block = resources["aws_s3_bucket_public_access_block.store"]
    assert all(value is True for name, value in block.items() if name.startswith(("block_", "ignore_", "restrict_")))
    assert resources["aws_s3_bucket_versioning.store"]["versioning_configuration"][0]["status"] == "Enabled"
    rules = {rule["id"]: rule for rule in resources["aws_s3_bucket_lifecycle_configuration.store"]["rule"]}
    expected = json.loads((ROOT / "deploy/aws/lifecycle.json").read_text().replace("${prefix}", "shop/"))["Rules"]
    assert list(rules) == [rule["ID"] for rule in expected]
    for rule in expected:
        assert rules[rule["ID"]]["filter"][0]["prefix"] == rule["Filter"]["Prefix"]
        days = [row["days"] for row in rules[rule["ID"]]["expiration"] if row["days"]]
        assert days == [row["Days"] for row in [rule.get("Expiration", {})] if "Days" in row]
    # What must never expire by age: versions, channels, tombstones, profiles of snapshots.
    expiring = [rule["Filter"]["Prefix"] for rule in expected if "Days" in rule.get("Expiration", {})]
    for kept in ("models/a", "channels/production.json", "retired/a", "artifacts/profiles/a", "snapshots/a", "tuned/a"):
        assert not any(f"shop/{kept}".startswith(prefix) for prefix in expiring)


def test_training_runs_the_image_as_the_task_would(resources):
    definition = resources["aws_batch_job_definition.training[0]"]
    container = json.loads(definition["container_properties"])
    assert container["image"] == IMAGE
    assert container["command"] == list(ENTRY)
    assert (container["user"], container["readonlyRootFilesystem"]) == ("50000", True)
    assert container["jobRoleArn"] == resources["aws_iam_role.job[0]"]["arn"]
    environment = {row["name"]: row["value"] for row in container["environment"]}
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert [row["containerPath"] for row in container["mountPoints"]] == [environment["RECOMMENDER_CACHE"]]
    assert [row["containerPath"] for row in container["linuxParameters"]["tmpfs"]] == ["/tmp"]
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/recommender/training"
    assert definition["timeout"][0]["attempt_duration_seconds"] == 43200
    (retry,) = definition["retry_strategy"]
    assert retry["attempts"] == RETRIES["attempts"]
    ours = [{name: value.casefold() for name, value in rule.items()} for rule in RETRIES["evaluateOnExit"]]
    first, second = retry["evaluate_on_exit"]
    assert ours == [
        {"onStatusReason": first["on_status_reason"].casefold(), "action": first["action"].casefold()},
        {"onReason": second["on_reason"].casefold(), "action": second["action"].casefold()},
    ]
    assert definition["name"] == resources["aws_batch_job_queue.training[0]"]["name"] == "recommender"
    (compute,) = resources["aws_batch_compute_environment.training[0]"]["compute_resources"]
    assert (compute["type"], compute["min_vcpus"]) == ("SPOT", 0)


def test_a_task_can_submit_follow_and_end_a_job_of_this_queue_and_definition(endpoint, resources):
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    jobs = Jobs(session.client("batch", endpoint_url=endpoint))
    place = Place.parse(resources["aws_batch_job_queue.training[0]"]["name"])
    job_id = jobs.submit(place, "train_als-r1", [*ENTRY, "key", "0" * 64, "1"], {"RECOMMENDER_ROOT": "s3://b"}, HOUR)
    assert jobs.describe(job_id).status in STATUSES
    jobs.terminate(job_id, "no more")


def test_roles_have_their_policies_and_no_others(resources):
    attached = {}
    for address, row in resources.items():
        if address.startswith("aws_iam_role_policy_attachment."):
            attached.setdefault(row["role"], set()).add(row["policy_arn"].rpartition("/")[2])
    names = {
        "machine": {"dag", "machine", "submit"},
        "job": {"dag"},
        "worker": {"worker"},
    }
    assert attached == {
        f"recommender-{role}": {f"recommender-{each}" for each in found} for role, found in names.items()
    }


def test_the_machine_reads_what_terraform_says(resources):
    said = json.loads(resources["aws_ssm_parameter.settings"]["value"])
    assert (said["ref"], said["commit"]) == (REQUIRED["release_ref"], REQUIRED["release_commit"])
    assert said["settings"] == {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LOG_GROUP": "/recommender/machine",
        "COMPOSE_FILE": "docker-compose.yaml:deploy/compose/aws.yaml",
        "RECOMMENDER_AWS_BATCH": "recommender",
        "RECOMMENDER_ROOT": "s3://shop-recommender/shop",
        "RECOMMENDER_SCHEDULE": "@monthly",
        "RECOMMENDER_SNS_TOPIC_ARN": f"arn:aws:sns:us-east-1:{ACCOUNT}:recommender-notices",
    }


WRONG = {
    "name": ("Shop", "lower-case letters, digits and hyphens, a letter first"),
    "bucket": ("no_underscores", "Expected 3 to 63"),
    "prefix": ("/shop/", "with a slash between two of them"),
    "kms_key_arn": ("alias/a", "Expected the ARN of a key"),
    "repository_url": ("git@github.com:example/x", "https:// address"),
    "release_ref": ("--upload-pack=x", "Expected a git tag or branch"),
    "release_commit": ("v0.1.0", "40 hexadecimal digits"),
    "ami_id": ("ubuntu", "Expected an id such as ami-"),
    "subnet_id": ("default", "Expected an id such as subnet-"),
    "volume_gb": (10, "whole number from 30"),
    "notice_emails": (["ann"], "Expected e-mail addresses"),
    "success_days": (0, "Expected 1 to 366 days"),
    "log_days": (31, "periods of CloudWatch Logs"),
    "training_image": ("recommender:latest", "@sha256:DIGEST"),
    "training_instance_types": ([], "one type or more"),
    "training_max_vcpus": (1, "at least training_vcpus"),
    "region": ("Europe", "Expected a region"),
}


def refusals(terraform, variables):
    """What Terraform says of wrong variables, in one line."""
    process = terraform.run("plan", "-input=false", "-no-color", **{**REQUIRED, **variables})
    assert process.returncode == 1
    return " ".join(process.stderr.replace("│", " ").split())


def test_wrong_variables_are_refused(terraform):
    said = refusals(terraform, {name: value for name, (value, _) in WRONG.items()})
    assert [name for name, (_, expected) in WRONG.items() if expected not in said] == []


def test_what_does_not_go_together_is_refused(terraform):
    settings = {
        "PATH": "/tmp",
        "RECOMMENDER_NOTIFIERS": "it's",
        "RECOMMENDER_ROOT": "s3://x",
        "RECOMMENDER_SNAPSHOTS": "s3://other",
    }
    said = refusals(terraform, {"settings": settings, "training_enabled": True, "monthly_budget_usd": 10})
    for expected in ("Expected names RECOMMENDER_", "without single quotes", "Terraform sets the root"):
        assert expected in said
    assert "make it the SecureString /NAME/secrets/RECOMMENDER_NOTIFIERS" in said
    assert "leave RECOMMENDER_SNAPSHOTS and RECOMMENDER_SAMPLES out" in said
    assert "needs training_image" in said
    assert "an address in notice_emails" in said
