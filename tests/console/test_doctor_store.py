"""Planted faults of the store: keys, bucket, rights, conditional writes, clock, and a store that does not answer."""

import time
from email.utils import formatdate

import pytest

from local import store
from local.home import Home

from ..conftest import BUCKET
from ..faults import proxy
from ..faults.proxy import Fault

ALWAYS = 10_000


def test_no_credentials(stocked, doctor, found, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    status, rows = doctor(only=["bucket"])
    assert status == 1
    found(rows["credentials"], "FAILED", "no credentials", "a key, a profile or a role", "AWS_PROFILE")
    assert rows["bucket"]["seen"] == "it needs: credentials"


@pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_a_wrong_key_at_a_store_that_checks_it(doctor, found, monkeypatch, tmp_path, free_port, wrong):
    with store.serve(Home(tmp_path / ".local"), free_port) as server:
        for name, value in server.store.boto3().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RECOMMENDER_ROOT", f"s3://{store.BUCKET}/x")
        assert doctor(only=["channel"])[1]["bucket"]["state"] == "ok"
        monkeypatch.setenv(wrong, "wrong")
        status, rows = doctor(only=["channel"])
    assert status == 1
    found(rows["bucket"], "FAILED", f"s3://{store.BUCKET}/x/models/", "access denied", "Correct the keys of")
    assert rows["models/"]["state"] == rows["channel"]["state"] == "not checked"


def test_a_missing_bucket(stocked, doctor, found):
    status, rows = doctor("--root", "s3://no-such-bucket/shop", only=["bucket", "clock"])
    assert status == 1
    found(rows["bucket"], "FAILED", "s3://no-such-bucket/shop", "the bucket does not exist", "Create it")
    assert rows["clock"]["state"] == "ok"


def test_a_store_that_nothing_listens_for(stocked, doctor, found):
    began = time.monotonic()
    status, rows = doctor("--endpoint-url", "http://127.0.0.1:1", only=["bucket", "clock"])
    assert (status, time.monotonic() - began < 30) == (1, True)
    assert "http://127.0.0.1:1" in rows["bucket"]["seen"]
    assert rows["bucket"]["state"] == "FAILED"
    assert rows["clock"]["state"] == "not checked"


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_given_up_soon(stocked, doctor, before_store):
    before_store().faults.append(Fault("", "", "hang", times=ALWAYS))
    began = time.monotonic()
    status, rows = doctor()
    assert (status, time.monotonic() - began < 60) == (1, True)
    assert rows["bucket"]["state"] == "FAILED"


@pytest.mark.parametrize(
    ("method", "folder", "action", "may"),
    [
        ("PUT", "reports", "s3:PutObject", "write"),
        ("GET", r"artifacts/\.probe", "s3:GetObject", "read"),
        ("GET", r"list-type.*tuned", "s3:ListBucket", "list"),
    ],
)
def test_a_denied_right_names_the_prefix_and_the_action(
    stocked, doctor, found, before_store, method, folder, action, may
):
    before_store().faults.append(Fault(method, folder, "403", times=ALWAYS))
    status, rows = doctor(only=["reports/", "artifacts/", "tuned/", "models/"])
    name = next(each for each in ("reports", "artifacts", "tuned") if each in folder)
    assert status == 1
    place = f"s3://{BUCKET}/shop/{name}/"
    found(rows[f"{name}/"], "FAILED", "access denied", f"the role dag may {may}", place, f"Allow {action} on {place}*")
    assert "deploy/aws/policies" in rows[f"{name}/"]["fix"]
    assert rows["models/"]["state"] == "ok"


def test_snapshots_that_cannot_be_read(stocked, doctor, found, before_store):
    before_store().faults.append(Fault("HEAD", "snapshots/", "403", times=ALWAYS))
    found(doctor(only=["snapshots"])[1]["snapshots"], "FAILED", "s3:GetObject", "shop/snapshots/")


@pytest.mark.parametrize("role", ["api", "reader"])
def test_a_role_that_only_reads_and_may_write(stocked, doctor, found, role):
    status, rows = doctor("--role", role)
    assert status == 0
    key = f"s3://{BUCKET}/shop/models/.probe-doctor"
    found(rows["models/"], "warning", key, f"the role {role} only reads", "Take s3:PutObject")
    assert "conditional writes" not in rows
    assert "artifacts/" not in rows


@pytest.mark.parametrize("role", ["api", "reader"])
def test_a_role_that_only_reads_and_is_refused(stocked, doctor, before_store, role):
    before_store().faults.append(Fault("PUT", "", "403", times=ALWAYS))
    status, rows = doctor("--role", role)
    assert (status, rows["models/"]["state"], rows["channels/"]["state"]) == (0, "ok", "ok")
    assert rows["models/"]["seen"] == "list, read"


class Forgetful(proxy.Handler):
    """A store that knows no If-None-Match."""

    def _pass_on(self, body):
        del self.headers["If-None-Match"]
        return super()._pass_on(body)


def test_a_store_that_ignores_conditions(stocked, doctor, found, before_store):
    before_store(Forgetful)
    status, rows = doctor(only=["conditional writes"])
    assert status == 1
    row = found(
        rows["conditional writes"], "FAILED", f"s3://{BUCKET}/shop/channels/", "If-None-Match", "Update the store"
    )
    assert "not safe for promotions" in row["seen"]


def behind(seconds):
    """A store whose clock is so many seconds behind."""

    def date_time_string(self, timestamp=None):
        return formatdate(time.time() - seconds, usegmt=True)

    return type("Behind", (proxy.Handler,), {"date_time_string": date_time_string})


@pytest.mark.parametrize(
    ("seconds", "state", "side"),
    [(3_600, "FAILED", "ahead of"), (-3_600, "FAILED", "behind"), (60, "warning", "ahead of"), (0, "ok", "")],
)
def test_a_clock_that_is_off(stocked, doctor, found, before_store, seconds, state, side):
    before_store(behind(seconds))
    status, rows = doctor(only=["clock"])
    assert status == (1 if state == "FAILED" else 0)
    if state == "ok":
        assert rows["clock"]["state"] == "ok"
    else:
        found(rows["clock"], state, f"s {side} the store's", "at most 5 s", "timedatectl set-ntp true")


def test_a_clock_that_the_store_refuses_is_named_too(stocked, doctor, found, before_store):
    before_store(behind(3_600)).faults.append(Fault("", "", "403", times=ALWAYS, code="RequestTimeTooSkewed"))
    _, rows = doctor(only=["clock", "bucket"])
    assert "15 minutes" in rows["bucket"]["seen"]
    found(rows["clock"], "FAILED", "ahead of the store's", "timedatectl")


def test_a_bucket_policy_that_refuses_to_overwrite(stocked, doctor, before_store):
    class CreateOnly(proxy.Handler):
        def _pass_on(self, body):
            if self.command == "PUT" and "/models/" in self.path and "If-None-Match" not in self.headers:
                return 403, {"Content-Type": "application/xml"}, proxy.ERROR_BODY % b"AccessDenied"
            return super()._pass_on(body)

    before_store(CreateOnly)
    _, rows = doctor(only=["create-only models/"])
    assert (rows["models/"]["state"], rows["create-only models/"]["state"]) == ("ok", "ok")
    assert "without If-None-Match is refused" in rows["create-only models/"]["seen"]


def test_what_the_bucket_lacks_and_has(stocked, s3, doctor, found):
    _, rows = doctor(only=["create-only models/", "versioning", "lifecycle"])
    found(rows["create-only models/"], "warning", f"s3://{BUCKET}/shop/models/", "deploy/aws/policies")
    found(rows["versioning"], "warning", BUCKET, "off", f"aws s3api put-bucket-versioning --bucket {BUCKET}")
    found(rows["lifecycle"], "warning", BUCKET, "AbortIncompleteMultipartUpload", "put-bucket-lifecycle-configuration")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ID": "x", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    for prefix, state in (("elsewhere/", "warning"), ("shop/", "ok"), ("", "ok")):
        rules = [{**rule, "Filter": {"Prefix": prefix}}]
        s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})
        assert doctor(only=["create-only models/", "versioning", "lifecycle"])[1]["lifecycle"]["state"] == state
    assert doctor(only=["create-only models/", "versioning", "lifecycle"])[1]["versioning"]["state"] == "ok"


def test_what_may_not_be_asked_of_the_bucket_is_not_checked(stocked, doctor, found, before_store):
    script = before_store()
    script.faults += [Fault("GET", r"\?(versioning|lifecycle)", "403", times=ALWAYS)]
    status, rows = doctor(only=["versioning", "lifecycle"])
    assert status == 0
    found(rows["versioning"], "not checked", "AccessDenied", "s3:GetBucketVersioning")
    found(rows["lifecycle"], "not checked", "AccessDenied", "s3:GetLifecycleConfiguration")


def test_a_bucket_in_another_region(stocked, doctor, found, before_store):
    class Elsewhere(proxy.Handler):
        def _pass_on(self, body):
            status, headers, data = super()._pass_on(body)
            return status, {**headers, "x-amz-bucket-region": "eu-west-1"}, data

    before_store(Elsewhere)
    found(doctor(only=["region"])[1]["region"], "warning", BUCKET, "eu-west-1", "AWS_DEFAULT_REGION")


@pytest.mark.parametrize("denied", [False, True])
def test_the_right_to_read_an_empty_prefix_is_tried_too(stocked, doctor, found, before_store, denied):
    if denied:
        before_store().faults.append(Fault("", r"/shop/retired/", "403", times=ALWAYS))
    status, rows = doctor(only=["retired/"])
    if denied:
        assert status == 1
        found(rows["retired/"], "FAILED", "access denied", "may read", "s3:GetObject", "shop/retired/")
    else:
        assert (rows["retired/"]["state"], rows["retired/"]["seen"]) == ("ok", "list, read")


def test_a_root_with_nothing_below_it_is_named_before_anything_is_written(stocked, doctor, found, s3):
    status, rows = doctor("--root", f"s3://{BUCKET}/shpo", only=["root", "models/"])
    assert status == 0
    found(rows["root"], "warning", f"s3://{BUCKET}/shpo/", "nothing is there", "RECOMMENDER_ROOT", "prefix")
    assert list(rows).index("root") < list(rows).index("models/")
    assert doctor(only=["root"])[1]["root"]["state"] == "ok"


def test_a_root_that_only_doctor_has_written_to_is_still_empty(stocked, doctor):
    for _ in range(2):
        assert doctor("--root", f"s3://{BUCKET}/shpo", only=["root", "models/"])[1]["root"]["state"] == "warning"
