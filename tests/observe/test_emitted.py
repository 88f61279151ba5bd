"""Airflow really sends what the mapping names: two runs, a scheduler, a DAG processor and a triggerer do so."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict

import pytest

from .. import worlds
from ..conftest import HOME, ROOT
from ..dags.harness import put_snapshot
from .files import MAPPINGS, QUERIES

RUN = """
import sys
from datetime import UTC, datetime
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.observability import stats
from airflow.observability.metrics.stats_utils import get_stats_factory

# As the scheduler does, whose part `dag.test` plays here.
stats.initialize(factory=get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on"))
dag = DagBag(dag_folder=sys.argv[1]).dags["recommender_retrain"]
print(dag.test(logical_date=datetime(2018, 9, 1, int(sys.argv[2]), tzinfo=UTC)).state)
"""
# What Airflow sends when a run ends, a task ends, or by the clock; each as quickly as it goes.
QUICKLY = {
    "AIRFLOW__SCHEDULER__POOL_METRICS_INTERVAL": "0.1",
    "AIRFLOW__SCHEDULER__DAGRUN_METRICS_INTERVAL": "0.1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
}
# Heartbeats go by the clock: how many rounds each part needs until it has sent them depends on the machine.
UNTIL_HEARD = {
    "scheduler --skip-serve-logs": {
        name for name in MAPPINGS if name.startswith(("airflow.scheduler", "airflow.executor", "airflow.pool"))
    },
    "dag-processor": {name for name in MAPPINGS if name.startswith("airflow.dag_process")},
    "triggerer --skip-serve-logs": {"airflow.triggerer_heartbeat"},
}


class Listener:
    """A StatsD server: name -> kinds (c, g, ms), and name -> names of tags."""

    def __init__(self):
        self.kinds, self.tags = defaultdict(set), defaultdict(set)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                packet = self.socket.recv(65_535).decode()
            except OSError:
                return
            for line in packet.splitlines():
                named, _, value = line.rpartition(":")
                name, *tags = named.split(",")
                self.tags[name].update(tag.partition("=")[0] for tag in tags)
                self.kinds[name].add(value.split("|")[1])


@pytest.fixture
def sent(deployment, s3, tmp_path):
    """What all parts of Airflow sent while they did what the dashboard shows."""
    listener = Listener()
    database = tmp_path / "airflow.db"
    shutil.copyfile(HOME / "airflow.db", database)
    environment = os.environ | QUICKLY
    environment |= {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(listener.port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
        "PYTHONPATH": str(ROOT),
    }

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("-c", RUN, str(ROOT / "dags"), "10").endswith("failed\n")
    put_snapshot(s3, "2018-08-27", worlds.packed(worlds.reviews()))
    assert run("-c", RUN, str(ROOT / "dags"), "12").endswith("success\n")
    for part, metrics in UNTIL_HEARD.items():
        command = [sys.executable, "-m", "airflow", *part.split()]
        with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            wait_until_heard(listener, metrics)
            process.send_signal(signal.SIGTERM)
    yield listener
    listener.socket.close()


def wait_until_heard(listener, metrics, most_s=120):
    """What is still missing then, the test names: here a failure would leave the process running."""
    end = time.monotonic() + most_s
    while not metrics <= listener.kinds.keys() and time.monotonic() < end:
        time.sleep(0.2)


@pytest.mark.slow
def test_every_metric_of_the_mapping_is_sent_with_the_kind_and_the_labels_that_queries_expect(sent):
    assert set(MAPPINGS) - set(sent.kinds) == set()
    timers = {name for match, name in MAPPINGS.items() if sent.kinds[match] == {"ms"}}
    counters = {name for match, name in MAPPINGS.items() if sent.kinds[match] == {"c"}}
    assert {name for name in MAPPINGS.values() if name.endswith("_total")} == counters
    assert {name for name in MAPPINGS.values() if name.endswith("_seconds") and "timestamp" not in name} == timers
    have = {name: sent.tags[match] for match, name in MAPPINGS.items()}
    wanted = list(labels())
    assert len(wanted) > 10
    assert [(name, label) for name, label in wanted if label not in have[name]] == []


def labels():
    """(metric, label) for each label of a selector or a sum over one metric of Airflow."""
    for query in QUERIES:
        for by, expression in re.findall(r"by \(([^)]*)\) \((.*?)\)", query):
            for name in re.findall(r"\bairflow_\w+", expression):
                yield from ((known(name), label.strip()) for label in by.split(","))
        for name, selector in re.findall(r"\b(airflow_\w+)\{([^}]*)\}", query):
            yield from ((known(name), label) for label in re.findall(r"(\w+)[!=]", selector))


def known(name):
    return next(each for each in MAPPINGS.values() if name in {each, f"{each}_sum", f"{each}_count"})
