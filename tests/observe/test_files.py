"""Dashboard, alerts and overlay agree with each other, the API's metrics, Airflow's options and the docs."""

import re
import subprocess
import sys

import pytest
import yaml

from ..conftest import ROOT
from ..docs.test_links import anchors
from .files import ALERTS, DASHBOARD, FOLDER, MAPPINGS, OVERLAY, PANELS, QUERIES, TIMERS, names, of_airflow, of_api

PAGE = (ROOT / "docs" / "observability.md").read_text()
ALERT = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def registered():
    """Name in StatsD -> type, as Airflow's own registry has them."""
    from airflow._shared.observability.metrics.metrics_registry import MetricsRegistry

    return {f"airflow.{name}": row["type"] for name, row in MetricsRegistry()._metrics.items()}


def test_every_query_reads_metrics_that_exist():
    timers = {name for name, kind in registered().items() if kind == "timer"}
    known = of_airflow(timers) | of_api()
    assert {name for query in QUERIES for name in names(query)} - known == set()
    assert all(names(query) or "up{" in query for query in QUERIES)


def test_every_mapping_is_of_airflow_or_ours_and_is_read_by_something():
    from include.orchestration.metrics import RUN_ENDED

    assert set(MAPPINGS) - set(registered()) == {f"airflow.{RUN_ENDED}"}
    read = {name for query in QUERIES for name in names(query)}
    bare = {name.removesuffix(suffix) for name in read for suffix in ("", *TIMERS)}
    assert set(MAPPINGS.values()) - bare == set()
    assert len(set(MAPPINGS.values())) == len(MAPPINGS)


@ALERT
def test_an_alert_says_what_it_means_and_names_a_page_with_what_to_do(alert):
    assert set(alert["annotations"]) == {"summary", "what_to_do"}
    assert alert["labels"]["severity"] in {"warning", "critical"}
    (link,) = re.findall(r"docs/[\w-]+\.md(?:#[\w-]+)?", alert["annotations"]["what_to_do"])
    page, _, anchor = link.partition("#")
    assert not anchor or anchor in anchors(ROOT / page)


def test_the_page_and_the_file_have_the_same_alerts():
    table = PAGE.split("## Alerts")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [alert["alert"] for alert in ALERTS]


def test_every_alert_is_tried_by_promtool():
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    raised = {row["alertname"] for test in tests for row in test["alert_rule_test"] if row["exp_alerts"]}
    assert raised == {alert["alert"] for alert in ALERTS}


def test_the_dashboard_asks_the_provisioned_datasource_and_its_panels_do_not_overlap():
    source = yaml.safe_load((FOLDER / "grafana" / "datasource.yml").read_text())["datasources"][0]
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["uid"]}
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {source["uid"]}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} == set(range(24))


def test_the_overlay_sets_options_that_airflow_has():
    from airflow.configuration import conf

    services = ("api-server", "scheduler", "dag-processor", "triggerer")
    assert all(OVERLAY["services"][name] == OVERLAY["x-observed"] for name in services)
    for name in OVERLAY["x-observed"]["environment"]:
        _, section, option = name.split("__")
        assert conf.configuration_description[section.lower()]["options"][option.lower()]


def test_the_overlay_is_as_confined_as_the_stack():
    added = {name: each for name, each in OVERLAY["services"].items() if "image" in each}
    assert set(added) == {"statsd-exporter", "prometheus", "grafana"}
    for service in added.values():
        assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", service["image"])
        assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)
        assert service["mem_limit"]
        assert service["healthcheck"]["test"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    mounts = [mount.split(":")[0] for service in added.values() for mount in service["volumes"]]
    assert all((ROOT / mount).is_file() for mount in mounts if mount.startswith("./"))


def test_the_overlay_follows_the_compose_specification():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    path = ROOT / "deploy" / "compose" / "observe.yaml"
    assert subprocess.run([*command, path], capture_output=True, check=False).returncode == 0


def test_prometheus_scrapes_the_services_by_their_names():
    jobs = {row["job_name"]: row for row in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]}
    targets = {name: row["static_configs"][0]["targets"] for name, row in jobs.items()}
    assert targets == {"airflow": ["statsd-exporter:9102"], "api": ["api:8090"]}
    assert jobs["api"]["authorization"]["credentials_file"] in OVERLAY["services"]["prometheus"]["command"][0]
