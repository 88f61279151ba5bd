"""Planted faults of the online API, at a real server of it."""

import pytest

from include.recommender.console.doctor import online_api
from include.recommender.console.doctor.examined import Examined, Role
from include.recommender.console.doctor.findings import DoctorCheck, examine, fine
from include.recommender.registry.registry import Registry
from include.recommender.storage.objects import ObjectStore

from ..api.conftest import api, cache, keys, served  # noqa: F401 fixtures of the API's own tests
from ..api.published import publish
from ..conftest import BUCKET
from ..registry.makers import M1, M2, move
from .test_doctor_airflow import Handler, serving


def look(address, channel="production", **environment):
    about = Examined(
        environment={"RECOMMENDER_ROOT": "s3://reviews/shop", **environment},
        endpoint_url=None,
        role=Role.API,
        channel=channel,
        airflow="",
        api=address,
    )
    checks = [DoctorCheck("rights", "channels/", lambda _: fine("")), *online_api.CHECKS]
    rows = {row.name: row for row in examine(checks, about)}
    return {
        name: {"state": row.state, "seen": row.seen, "expected": row.expected, "fix": row.fix}
        for name, row in rows.items()
    }


def address_of(running):
    return str(running.client.base_url)


def test_an_api_in_order(api, keys):  # noqa: F811
    known, key = keys
    address = address_of(api(keys=known))
    rows = look(address, API_KEY=key)
    assert {row["state"] for row in rows.values()} == {"ok"}
    assert look(address)["API key"]["seen"].startswith("asked for")


def test_an_api_with_another_version(api, s3, found):  # noqa: F811
    """As where its RECOMMENDER_ROOT is another, or it could not follow."""
    other = Registry(ObjectStore(s3, BUCKET, "other"))
    publish(other, M2, seed=1)
    move(other, M2)
    address = address_of(api())
    row = look(address, RECOMMENDER_ROOT=f"s3://{BUCKET}/other")["API version"]
    found(row, "FAILED", f"{address} answers from {M1}", str(M2), f"s3://{BUCKET}/other/channels/", "restart api")


def test_an_api_of_another_channel(api, found):  # noqa: F811
    row = look(address_of(api()), channel="staging")["API version"]
    found(row, "FAILED", "serves production", "the channel staging", "RECOMMENDER_API_CHANNEL=staging")


def test_an_api_that_does_not_know_the_key(api, keys, found):  # noqa: F811
    rows = look(address_of(api(keys=keys[0])), API_KEY="not-a-known-key-1")
    row = found(rows["API key"], "FAILED", "does not know the key", "include.recommender.api.keys")
    assert "not-a-known-key-1" not in str(row)


@pytest.mark.parametrize("given", [{}, {"API_KEY": "any-key-at-all"}])
def test_an_api_that_answers_everybody(api, found, given):  # noqa: F811
    address = address_of(api())
    row = found(look(address, **given)["API key"], "FAILED", "without a key", "include.recommender.api.keys")
    assert "RECOMMENDER_API_OPEN=1" in row["fix"]
    meant = look(address, RECOMMENDER_API_OPEN="1", **given)["API key"]
    found(meant, "warning", "without a key", "RECOMMENDER_API_OPEN")


def test_an_api_that_takes_any_key(found):
    """As behind a part that only looks whether there is one."""

    class AnyKey(Handler):
        def do_GET(self):  # noqa: N802
            if self.path == "/healthz" or self.headers["Authorization"]:
                return self._send(200, {"channels": [], "status": "ok"})
            return self._send(401, {})

    with serving({}, AnyKey) as address:
        for given in ({}, {"API_KEY": "one-key"}, {"API_KEY": "one-key", "RECOMMENDER_API_OPEN": "1"}):
            state = "warning" if "RECOMMENDER_API_OPEN" in given else "FAILED"
            found(look(address, **given)["API key"], state, "a made-up key", "include.recommender.api.keys")


def test_nobody_listens(free_port, found):
    rows = look(f"http://127.0.0.1:{free_port}")
    found(rows["API alive"], "FAILED", f"127.0.0.1:{free_port}", "docker compose up --detach api", "make serve")
    assert rows["API version"]["seen"] == "it needs: API alive"


@pytest.mark.parametrize("address", ["ftp://x", "localhost:1"])
def test_what_is_no_address(address, found):
    found(look(address)["API alive"], "FAILED", "expected an address such as")
