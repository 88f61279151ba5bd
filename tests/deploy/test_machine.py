"""What runs on the machine of deploy/aws beside the containers: first boot, settings and secrets, measures, backup."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from deploy import backup, machine_env, watch
from deploy.make_env import SECRETS, given
from include.recommender.parameters import MAIN_CHANNEL
from include.recommender.reporting.report import Report, Stop
from include.recommender.runs.dag_names import RETRAIN_DAG, TUNE_DAG
from include.recommender.runs.journal import RunFacts
from include.recommender.storage.documents import to_json

from ..conftest import BUCKET
from .calls import recorded
from .policies import granted, grants, statements, used
from .terraform import ROOT

AWS = ROOT / "deploy" / "aws"
SETTINGS = {"RECOMMENDER_ROOT": f"s3://{BUCKET}/shop", "RECOMMENDER_SCHEDULE": "0 6 * * 1"}
NOTIFIERS = '[{"class": "a.B", "x": "$y"}]'
# Rights of the machine that these tests do not use, sid: who does.
OF_OTHERS = {
    "Session": "the agent of Systems Manager",
    "Logs": "the log driver of Docker, and recommender-start",
    "Notices": "the notifier of Airflow (include/orchestration/alerts.py)",
}


@pytest.fixture
def machine(s3, s3_endpoint, monkeypatch):
    """The environment of the machine, and its settings as Terraform writes them."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "RECOMMENDER_ROOT": SETTINGS["RECOMMENDER_ROOT"],
    }.items():
        monkeypatch.setenv(name, value)
    release = {"repository": "https://example.org/a", "ref": "v1", "commit": "0" * 40, "settings": SETTINGS}
    boto3.client("ssm").put_parameter(Name="/recommender/settings", Value=json.dumps(release), Type="String")


def put_secret(name, value):
    """A SecureString of the deployment, as a person makes or changes it."""
    path = f"/recommender/secrets/{name}"
    boto3.client("ssm").put_parameter(Name=path, Value=value, Type="SecureString", Overwrite=True)


def test_secrets_are_made_once_and_outlive_the_machine(machine, tmp_path):
    first, second = tmp_path / "first.env", tmp_path / "second.env"
    assert machine_env.main(["recommender", str(first)]) == 0
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert machine_env.main(["recommender", str(second)]) == 0
    assert first.read_text() == second.read_text()
    made = given(first)
    assert "RECOMMENDER_NOTIFIERS" not in made
    assert {name: made[name] for name in SETTINGS} == SETTINGS
    assert len({made[name] for name in SECRETS}) == len(SECRETS)
    stored = boto3.client("ssm").get_parameter(Name="/recommender/secrets/API_KEY", WithDecryption=True)["Parameter"]
    assert (stored["Type"], stored["Value"]) == ("SecureString", made["API_KEY"])


def test_a_rotated_secret_arrives_with_the_next_start(machine, tmp_path):
    path = tmp_path / ".env"
    machine_env.main(["recommender", str(path)])
    put_secret("API_KEY", "f" * 64)
    machine_env.main(["recommender", str(path)])
    assert given(path)["API_KEY"] == "f" * 64


def test_notifiers_are_a_secret_that_a_person_may_make(machine, tmp_path):
    path = tmp_path / ".env"
    put_secret("RECOMMENDER_NOTIFIERS", f"{NOTIFIERS}\n")
    assert machine_env.main(["recommender", str(path)]) == 0
    assert given(path)["RECOMMENDER_NOTIFIERS"] == NOTIFIERS


@pytest.mark.parametrize("value", ["it's", "[\n{}]"])
def test_a_secret_that_the_file_cannot_hold_is_named_and_not_shown(machine, tmp_path, capsys, value):
    put_secret("RECOMMENDER_NOTIFIERS", value)
    assert machine_env.main(["recommender", str(tmp_path / ".env")]) == 1
    error = capsys.readouterr().err
    assert "RECOMMENDER_NOTIFIERS: expected one line without single quotes" in error
    assert value not in error
    assert not (tmp_path / ".env").exists()


def test_a_deployment_without_settings_is_named(machine, tmp_path, capsys):
    assert machine_env.main(["misspelt", str(tmp_path / ".env")]) == 1
    assert "/misspelt/" in capsys.readouterr().err
    assert not (tmp_path / ".env").exists()


def has_compose():
    """Whether there is a docker with compose."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="NOT TESTED: compose reads .env: there is no docker with compose")
def test_compose_reads_the_values_as_they_were_given(machine, tmp_path):
    put_secret("RECOMMENDER_NOTIFIERS", NOTIFIERS)
    machine_env.main(["recommender", str(tmp_path / ".env")])
    names = (*SETTINGS, *SECRETS, "RECOMMENDER_NOTIFIERS")
    service = {"image": "a", "environment": {name: f"${{{name}}}" for name in names}}
    (tmp_path / "docker-compose.yaml").write_text(json.dumps({"services": {"a": service}}))
    command = ["docker", "compose", "config", "--format", "json"]
    plain = {name: value for name, value in os.environ.items() if name not in names}
    process = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    read = json.loads(process.stdout)["services"]["a"]["environment"]
    assert read["RECOMMENDER_NOTIFIERS"].replace("$$", "$") == NOTIFIERS


@contextmanager
def answering(status):
    """A server whose every answer has a status; yield its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def facts(dag_id=RETRAIN_DAG, channel=MAIN_CHANNEL):
    """What a run of a DAG for a channel was asked for."""
    dates = {"run_date": "2018-10-01", "as_of": "2018-10-01", "snapshot": None}
    return RunFacts(dag_id=dag_id, run_id="a", run_type="manual", channel=channel, params={}, **dates)


def put_report(s3, run, asked=None, **fields):
    body = to_json(Report(run=asked or facts(), finished=True, **fields))
    s3.put_object(Bucket=BUCKET, Key=f"shop/reports/{run}/report.json", Body=body)


def sent_metrics():
    """Name -> newest value of each metric of the deployment, as CloudWatch has it."""
    cloudwatch = boto3.client("cloudwatch")
    names = {row["MetricName"] for row in cloudwatch.list_metrics(Namespace="Recommender")["Metrics"]}
    found = {}
    for name in names:
        answer = cloudwatch.get_metric_statistics(
            Namespace="Recommender",
            MetricName=name,
            Dimensions=[{"Name": "Deployment", "Value": "recommender"}],
            StartTime="2020-01-01T00:00:00Z",
            EndTime="2100-01-01T00:00:00Z",
            Period=3600,
            Statistics=["Maximum"],
        )
        found[name] = max(row["Maximum"] for row in answer["Datapoints"])
    return found


def test_measures_reach_cloudwatch(machine, s3):
    put_report(s3, "good", unchanged="20180930-8cfb30c76700")
    put_report(s3, "worse", error=Stop("parse_reviews", "DataError", "truncated"))
    s3.put_object(Bucket=BUCKET, Key="shop/backups/airflow-2026.dump", Body=b"PGDMP")
    with answering(200) as port:
        assert watch.main(["recommender", "--api-port", str(port)]) == 0
    found = sent_metrics()
    assert set(found) == {"SuccessAgeHours", "BackupAgeHours", "DiskUsedPercent", "ApiDown"}
    assert found["ApiDown"] == 0
    assert 0 <= found["SuccessAgeHours"] < 1
    assert 0 <= found["BackupAgeHours"] < 1
    assert 0 < found["DiskUsedPercent"] <= 100


def test_what_cannot_be_measured_is_left_out_and_said(machine, s3, capsys):
    put_report(s3, "held")  # neither a version nor unchanged: HOLD
    done = {"unchanged": "20180930-8cfb30c76700"}
    put_report(s3, "tried", facts(channel="trial"), **done)
    put_report(s3, "searched", facts(dag_id=TUNE_DAG), **done)
    with answering(503) as port:
        assert watch.main(["recommender", "--api-port", str(port)]) == 0
    assert set(found := sent_metrics()) == {"DiskUsedPercent", "ApiDown"}
    assert found["ApiDown"] == 1
    captured = capsys.readouterr().err
    assert "SuccessAgeHours: no run of recommender_retrain for production has succeeded" in captured
    assert "BackupAgeHours: there is no backup yet" in captured


def test_a_success_is_one_of_the_retraining_on_its_main_channel():
    assert (watch.DAG, watch.CHANNEL) == (RETRAIN_DAG, MAIN_CHANNEL)


def test_alarms_are_about_what_is_measured():
    text = (AWS / "alarms.tf").read_text()
    watched = set(re.findall(r'metric = "(\w+)"', text))
    assert watched == {name for name, _, _ in watch.measures(watch.Root(None, "", ""), 0)}
    assert f'namespace           = "{watch.NAMESPACE}"' in text


def test_a_dump_is_uploaded_and_fetched_again(machine, s3, tmp_path, capsys):
    (tmp_path / "dump").write_bytes(b"PGDMP and the rest")
    assert backup.main(["--command", f"cat {tmp_path / 'dump'}"]) == 0
    assert backup.main(["--fetch", str(tmp_path / "again")]) == 0
    assert backup.main(["--list"]) == 0
    name = capsys.readouterr().out.splitlines()[-1].split()[0]
    assert backup.main(["--fetch", str(tmp_path / "named"), "--name", name]) == 0
    assert (tmp_path / "named").read_bytes() == (tmp_path / "again").read_bytes()
    assert backup.main(["--fetch", str(tmp_path / "named"), "--name", "other.dump"]) == 1
    assert (tmp_path / "again").read_bytes() == b"PGDMP and the rest"


@pytest.mark.parametrize("command", ["false", "echo no dump", "sh -c true"])
def test_what_is_no_dump_is_not_uploaded(machine, s3, capsys, command):
    assert backup.main(["--command", command]) == 1
    assert "nothing was uploaded" in capsys.readouterr().err
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="shop/backups/")["KeyCount"] == 0


def test_the_machine_has_the_rights_that_it_needs(machine, s3, tmp_path, monkeypatch):
    (tmp_path / "dump").write_bytes(b"PGDMP")
    put_report(s3, "good", unchanged="20180930-8cfb30c76700")
    with recorded(monkeypatch) as recorder, answering(200) as port:
        machine_env.main(["recommender", str(tmp_path / ".env")])
        backup.main(["--command", f"cat {tmp_path / 'dump'}"])
        watch.main(["recommender", "--api-port", str(port)])
        backup.main(["--fetch", str(tmp_path / "again")])
    policy = [*statements("machine"), *statements("dag")]
    assert {right for right in recorder.rights if not granted(policy, right)} == set()
    idle = [grant for grant in grants(statements("machine")) if not used(grant, recorder.rights)]
    assert {sid for sid, action, *_ in idle if action != "s3:AbortMultipartUpload"} == set(OF_OTHERS)


def rendered(tmp_path):
    """The user data as Terraform would fill it in."""
    values = {"name": "recommender", "log_group": "/recommender/machine", "region": "eu-west-1"}
    text = (AWS / "user_data.sh.tftpl").read_text()
    path = tmp_path / "user_data.sh"
    path.write_text(re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text))
    return path


def part(text, start, end):
    """What a script writes between two lines."""
    return text.partition(f"<<'{start}'\n")[2].partition(f"\n{end}\n")[0]


def test_scripts_are_sound(tmp_path):
    user_data = rendered(tmp_path)
    start = tmp_path / "recommender-start"
    start.write_text(part(user_data.read_text(), "START", "START"))
    scripts = [user_data, start, AWS / "start.sh", AWS / "check.sh"]
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("NOT TESTED: shellcheck is not installed; bash read the scripts without complaint")
    subprocess.run(["shellcheck", "--exclude", "SC1091", *map(str, scripts)], check=True)


def test_python_within_the_scripts_compiles(tmp_path):
    blocks = re.findall(r"<<'PYTHON'.*?\n(.*?)\nPYTHON\n", rendered(tmp_path).read_text(), flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "user_data", "exec")


def test_a_release_with_another_commit_is_not_started(tmp_path):
    """The part of recommender-start that fetches, with a repository on disk."""
    shop, target = tmp_path / "shop", tmp_path / "opt"
    target.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet", str(shop)], ["-C", str(shop), "commit", "--quiet", "--allow-empty", "-m", "a"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run([*git, "-C", str(shop), "tag", "v1"], check=True)
    commit = subprocess.run(["git", "-C", str(shop), "rev-parse", "v1"], capture_output=True, text=True, check=True)
    fetching = part(rendered(tmp_path).read_text(), "START", "START").partition("cd /opt/recommender\n")[2]
    fetching = fetching.partition("deploy/aws/start.sh")[0]

    def fetch(expected):
        script = f"set -euo pipefail; repository={shop} ref=v1 commit={expected}; {fetching}"
        return subprocess.run(["bash", "-c", script], cwd=target, capture_output=True, text=True, check=False)

    refused = fetch("0" * 40)
    assert refused.returncode == 1
    assert "nothing was started" in refused.stderr
    assert fetch(commit.stdout.strip()).stdout == f"release v1, commit {commit.stdout.strip()}\n"


def test_images_that_the_machine_builds_name_their_commit(tmp_path):
    (tmp_path / "deploy" / "aws").mkdir(parents=True)
    shutil.copy(AWS / "start.sh", tmp_path / "deploy" / "aws")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "a"]):
        subprocess.run([*git, *command], check=True)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("python3", "install", "systemctl", "docker"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $1 $IMAGE_REVISION"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    script = [str(tmp_path / "deploy" / "aws" / "start.sh"), "recommender"]
    started = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert f"docker compose {commit}" in started.stdout.splitlines()


def test_units_start_what_is_there():
    units = {path.name: path.read_text() for path in (AWS / "units").iterdir()}
    assert set(units) == {f"recommender-{name}.{kind}" for name in ("watch", "backup") for kind in ("service", "timer")}
    for name in ("watch", "backup"):
        command = re.search(r"ExecStart=/usr/bin/python3 -m deploy\.(\w+)", units[f"recommender-{name}.service"])
        assert command[1] == name
        assert (ROOT / "deploy" / f"{name}.py").is_file()
        assert f"recommender-{name}.timer" in (AWS / "start.sh").read_text()


@pytest.mark.parametrize("module", ["machine_env", "watch", "backup", "make_env", "policies"])
def test_the_machine_needs_boto3_alone(module):
    """Ubuntu's Python has boto3 and nothing else of the project's libraries."""
    code = f"import sys, deploy.{module}; print({{name.partition('.')[0] for name in sys.modules}})"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"msgspec", "include", "airflow", "numpy", "pyarrow", "tenacity"} & eval(process.stdout)


def test_the_overlay_of_compose_gets_its_variables():
    overlay = ROOT / "deploy" / "compose" / "aws.yaml"
    if not overlay.exists():
        pytest.skip("NOT TESTED: deploy/compose/aws.yaml is not there")
    wanted = set(re.findall(r"\$\{(\w+):?\?", overlay.read_text()))
    block = re.search(r"settings = merge\(var\.settings, \{(.*?)\n  \}\)", (AWS / "machine.tf").read_text(), re.DOTALL)
    assert wanted <= {*re.findall(r"^ +([A-Z_]+) += ", block[1], re.MULTILINE), *SECRETS}
    assert '"docker-compose.yaml:deploy/compose/aws.yaml"' in block[1]
