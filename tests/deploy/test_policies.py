"""The policies against the calls that the code makes: each call is allowed, and no right is without a use."""

import json

import pytest

from include.recommender.console.cli import main
from include.recommender.registry.sealed import write_document
from include.recommender.serving.live import Live
from include.recommender.storage.cache import FOLDER as CACHE

from .. import worlds
from ..api.published import publish
from ..conftest import BUCKET
from ..dags.harness import NOON, load_dag, put_snapshot, run_dag
from ..registry import makers
from .calls import recorded
from .policies import FOLDER, Right, granted, grants, listed, statements, text, used

# Actions that no call of these tests makes: when they are needed.
WITHOUT_A_CALL = {
    "s3:AbortMultipartUpload": "when an upload in parts fails",
}
SNAPSHOT = "2018-08-27"
REVIEWS = worlds.reviews()


def unused(name, rights):
    """Grants of a policy that no noted call needed."""
    return [grant for grant in grants(statements(name)) if not used(grant, rights) and grant[1] not in WITHOUT_A_CALL]


def refused(name, recorder):
    """Noted calls that a policy does not allow."""
    policy = statements(name)
    return {right: call for right, call in recorder.rights.items() if not granted(policy, right)}


@pytest.fixture
def first_parts(monkeypatch):
    """Uploads above 2 kB go in parts, as those above 8 MB do otherwise, so that few reviews are enough."""
    from boto3.s3 import transfer

    config = transfer.TransferConfig.__init__

    def small(self, *args, **kwargs):
        config(self, *args, **{"multipart_threshold": 2_000, "multipart_chunksize": 5 << 20, **kwargs})

    monkeypatch.setattr(transfer.TransferConfig, "__init__", small)


@pytest.fixture
def console(s3_endpoint, monkeypatch):
    """The command line on the bucket of the test."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "RECOMMENDER_ROOT": f"s3://{BUCKET}/shop",
    }.items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        assert main(arguments) == 0

    return run


@pytest.fixture
def unproven(monkeypatch):
    """Every command tries the store, as the first of a process does."""
    monkeypatch.setattr("include.recommender.registry.atomicity._proven", set())


SMALL = {"factors": 8, "iterations": 2}
SEARCH = {**SMALL, "search": ["alpha"], "trials": 2, "splits": 2, "fit_prior": False, "min_coverage": 0}


def run_batch(state="success", **conf):
    run = load_dag("recommender_batch").test(logical_date=NOON.replace(hour=13), run_conf={"list_size": 5, **conf})
    assert run.state == state


def retrain(**conf):
    run, _ = run_dag(**{**SMALL, "champion_tolerance": 1, **conf})
    assert run.state == "success"


@pytest.mark.slow
def test_the_dag_has_the_rights_that_its_runs_need(deployment, s3, monkeypatch, unproven, first_parts):
    put_snapshot(s3, SNAPSHOT, worlds.packed(REVIEWS))
    with recorded(monkeypatch) as recorder:
        retrain()
        run_batch()
        run_batch()  # keeps the parts that are there
        run_batch("failed", model="20180101-000000000000")  # neither there nor retired
        assert load_dag("recommender_tune").test(logical_date=NOON, run_conf=SEARCH).state == "success"
        retrain(tuned="newest", logical_date=NOON.replace(day=2))
    probes = {right for right in refused("dag", recorder) if right.action == "s3:DeleteObject"}
    assert probes  # it removes the objects of its race where it may, and may not
    assert all("/channels/.probe-" in right.resource for right in probes)
    assert {right: call for right, call in refused("dag", recorder).items() if right not in probes} == {}
    assert unused("dag", recorder.rights) == []
    assert "UploadPart" in recorder.calls
    for operation, params in recorder.model_writes:
        assert params.get("IfNoneMatch") == "*", (operation, params["Key"])
    assert {operation for operation, _ in recorder.model_writes} == {"PutObject", "CompleteMultipartUpload"}


@pytest.fixture
def two_versions(workspace):
    """M1 and M2 were published and promoted, M3 was published."""
    registry = workspace.registry
    for name in (makers.M1, makers.M2, makers.M3):
        publish(registry, name)
    for name in (makers.M1, makers.M2):
        makers.move(registry, name)
    return registry


def test_people_who_look_have_the_rights_that_they_need(two_versions, console, monkeypatch):
    two_versions.objects.write("reports/a/report.json", b"{}")
    two_versions.objects.write(f"recommendations/{makers.M2}/p/manifest.json", b"{}")
    two_versions.objects.write(f"retired/{makers.M5}.json", b"{}")
    with recorded(monkeypatch) as recorder:
        console("list")
        console("show", makers.M1)
        console("card", makers.M1)
        console("verify", makers.M1)
        console("compare", makers.M1, makers.M2)
        console("history")
        assert main(["show", makers.M4]) == 1  # neither there nor retired
        two_versions.objects.read("reports/a/report.json")
        list(two_versions.objects.walk("reports/"))
        two_versions.objects.read(f"recommendations/{makers.M2}/p/manifest.json")
    assert refused("reader", recorder) == {}
    assert unused("reader", recorder.rights) == []


def test_an_operator_has_the_rights_that_promotions_and_rollbacks_need(two_versions, console, monkeypatch, unproven):
    with recorded(monkeypatch) as recorder:
        console("promote", makers.M3, "--why", "a test of rights")
        console("rollback", "--why", "a test of rights")
        assert main(["promote", makers.M4, "--why", "a test of rights"]) == 1  # neither there nor retired
    assert refused("operator", recorder) == {}
    assert unused("operator", recorder.rights) == []


def test_retiring_needs_the_rights_of_its_policy(two_versions, console, monkeypatch, unproven):
    two_versions.objects.write(f"recommendations/{makers.M1}/p/manifest.json", b"{}")
    with recorded(monkeypatch) as recorder:
        console("retire", "--keep-newest", "1", "--keep-moves", "0", "--yes")
        assert main(["show", makers.M1]) == 0
        # Where a channel came to point to a version meanwhile, its manifest is written again.
        restored = two_versions.tombstone(makers.M1).manifest
        two_versions.objects.write(f"models/{makers.M1}/manifest.json", write_document(restored), create_only=True)
    assert refused("retire", recorder) == {}
    assert unused("retire", recorder.rights) == []


def test_the_api_has_the_rights_that_it_needs(two_versions, tmp_path, monkeypatch):
    with recorded(monkeypatch) as recorder:
        live = Live(two_versions, "production", tmp_path / CACHE)
        live.start()
        assert live.current.manifest.model_id == makers.M2
        misspelt = Live(two_versions, "misspelt", tmp_path / CACHE)
        misspelt.start()
        assert misspelt.current is None
    assert refused("api", recorder) == {}
    assert unused("api", recorder.rights) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_file_is_json_before_and_after_it_is_filled_in(path):
    raw = json.loads(path.read_text())
    filled = json.loads(text(path.stem))
    assert [row["Sid"] for row in raw["Statement"]] == [row["Sid"] for row in filled["Statement"]]
    assert "${" not in text(path.stem)


def test_only_people_may_delete():
    deleting = {
        path.stem
        for path in FOLDER.glob("*.json")
        for statement in statements(path.stem)
        if statement["Effect"] == "Allow" and "s3:DeleteObject" in listed(statement["Action"])
    }
    assert deleting == {"operator", "retire"}


def test_the_bucket_refuses_what_is_not_encrypted_and_overwritten_versions():
    tls, versions = statements("bucket")
    assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", "s3:*")
    assert tls["Resource"] == ["arn:aws:s3:::reviews", "arn:aws:s3:::reviews/*"]
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    # Parts of an upload have no condition: only what makes an object visible is a creation.
    assert versions["Condition"] == {
        "Null": {"s3:if-none-match": "true"},
        "Bool": {"s3:ObjectCreationOperation": "true"},
    }
    assert (versions["Effect"], versions["Action"]) == ("Deny", "s3:PutObject")
    assert versions["Resource"] == "arn:aws:s3:::reviews/shop/models/*"


def test_only_what_publishes_to_the_topic_may_do_so():
    """Alarms of CloudWatch do. Budgets send mail by themselves."""
    (statement,) = statements("notices")
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert "subscriber_sns_topic_arns" not in (FOLDER.parent / "notices.tf").read_text()


def test_a_right_that_is_not_there_is_noticed():
    key = "arn:aws:s3:::reviews/shop/models/a/manifest.json"
    assert granted(statements("dag"), Right("s3:PutObject", key))
    assert not granted(statements("api"), Right("s3:PutObject", key))
    assert not granted(statements("dag"), Right("s3:GetObject", "arn:aws:s3:::reviews/other/models/a"))
    assert not granted(statements("dag"), Right("s3:ListBucket", "arn:aws:s3:::reviews", "shop/backups/"))
    assert unused("api", {Right("s3:GetObject", key): "GetObject"}) != []


@pytest.mark.parametrize("name", ["dag", "api", "reader", "operator", "retire"])
def test_a_missing_object_is_answered_404_and_foreign_folders_are_not_listed(name):
    # S3 asks for the right to list before it says that an object does not exist, and such a request has no prefix.
    policy, bucket = statements(name), f"arn:aws:s3:::{BUCKET}"
    assert granted(policy, Right("s3:ListBucket", bucket))
    assert granted(policy, Right("s3:ListBucket", bucket, prefix="shop/models/x"))
    assert not granted(policy, Right("s3:ListBucket", bucket, prefix="elsewhere/"))
    assert not granted(policy, Right("s3:GetObject", f"{bucket}/elsewhere/x"))
