"""What the files of deploy/observe say, for the tests of this folder."""

import json
import re

import yaml

from include.recommender.api.metrics import Metrics

from ..conftest import ROOT

FOLDER = ROOT / "deploy" / "observe"
MAPPINGS = {
    row["match"]: row["name"]
    for row in yaml.safe_load((FOLDER / "statsd.yml").read_text())["mappings"]
    if row.get("action") != "drop"
}
ALERTS = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "recommender.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in ALERTS]
OVERLAY = yaml.safe_load((ROOT / "deploy" / "compose" / "observe.yaml").read_text())
NAME = re.compile(r"\b(?:airflow|recommender)_\w+(?![\w=])")
TIMERS = ("_sum", "_count")


def names(query):
    """Metrics that a query reads."""
    return set(NAME.findall(re.sub(r'"[^"]*"', '""', query)))


def of_api():
    """Names in a scrape of the API."""
    found = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        found |= {family.name + suffix for suffix in suffixes}
    return found


def of_airflow(timers):
    """Names in a scrape of statsd-exporter; `timers` are the names in StatsD that are timers."""
    found = set()
    for match, name in MAPPINGS.items():
        found |= {name + suffix for suffix in TIMERS} if match in timers else {name}
    return found
