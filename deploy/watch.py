"""Measure a deployment and send it to CloudWatch: `python3 -m deploy.watch NAME`, every five minutes by a timer.

What cannot be measured is left out, and the alarms of deploy/aws take silence as bad. It needs boto3 alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from . import api_health
from .stack import API_PORT

NAMESPACE = "Recommender"
HOUR_S = 3600
REPORTS_READ = 200
DAG, CHANNEL = "recommender_retrain", "production"  # what scheduled runs are of


@dataclass(frozen=True)
class Root:
    """RECOMMENDER_ROOT in S3. prefix : empty, or with a slash at its end"""

    s3: Any
    bucket: str
    prefix: str

    @classmethod
    def at(cls, s3: Any, uri: str) -> Root:
        """The root of ``s3://bucket/prefix``. Raises ValueError."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not bucket:
            raise ValueError(f"RECOMMENDER_ROOT={uri}: expected s3://bucket or s3://bucket/prefix")
        return cls(s3, bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "")

    def newest_first(self, folder: str, ending: str) -> list[Mapping[str, Any]]:
        """Listed objects below a folder with an ending of their keys."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + folder)
        rows = [row for page in pages for row in page.get("Contents", []) if row["Key"].endswith(ending)]
        return sorted(rows, key=lambda row: float(row["LastModified"].timestamp()), reverse=True)

    def read(self, key: str) -> bytes:
        """The bytes of a small object, by its whole key."""
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())


def succeeded(report: Mapping[str, Any]) -> bool:
    """Whether a retraining for the main channel ended well: a published version, or nothing new. HOLD is neither."""
    run = report.get("run") or {}
    done = report.get("model") or report.get("unchanged")
    return (run.get("dag_id"), run.get("channel")) == (DAG, CHANNEL) and report.get("error") is None and bool(done)


def success_age_hours(root: Root) -> float:
    """Hours since the newest report of a successful run. Raises LookupError where the newest reports have none."""
    for row in root.newest_first("reports/", "/report.json")[:REPORTS_READ]:
        if succeeded(json.loads(root.read(row["Key"]))):
            return _age_hours(row)
    raise LookupError(f"no run of {DAG} for {CHANNEL} has succeeded among the newest {REPORTS_READ}")


def backup_age_hours(root: Root) -> float:
    """Hours since the newest backup of the database. Raises LookupError where there is none."""
    rows = root.newest_first("backups/", ".dump")
    if not rows:
        raise LookupError("there is no backup yet")
    return _age_hours(rows[0])


def _age_hours(row: Mapping[str, Any]) -> float:
    return (time.time() - float(row["LastModified"].timestamp())) / HOUR_S


def disk_used_percent(path: str = "/") -> float:
    """Used share of the disk."""
    usage = shutil.disk_usage(path)
    return 100 * usage.used / (usage.used + usage.free)


def measures(root: Root, api_port: int) -> Iterator[tuple[str, str, Callable[[], float]]]:
    """Name, unit and measurement of each metric."""
    yield "SuccessAgeHours", "None", lambda: success_age_hours(root)
    yield "BackupAgeHours", "None", lambda: backup_age_hours(root)
    yield "DiskUsedPercent", "Percent", disk_used_percent
    yield "ApiDown", "Count", lambda: float(api_health.main(["/readyz", "--port", str(api_port)]))


def measured(root: Root, api_port: int) -> dict[str, tuple[float, str]]:
    """Name -> value and unit of what could be measured; the rest is said on stderr."""
    found = {}
    for name, unit, measure in measures(root, api_port):
        try:
            found[name] = (measure(), unit)
        except (BotoCoreError, ClientError, OSError, ValueError, LookupError) as error:
            print(f"{name}: {error}", file=sys.stderr)
    return found


def send(cloudwatch: Any, name: str, found: Mapping[str, tuple[float, str]]) -> None:
    """Put the metrics, in one request."""
    dimensions = [{"Name": "Deployment", "Value": name}]
    rows = [
        {"MetricName": metric, "Dimensions": dimensions, "Value": value, "Unit": unit}
        for metric, (value, unit) in found.items()
    ]
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.watch", description="Measure a deployment.")
    parser.add_argument("name", help="of the deployment, a dimension of its metrics")
    parser.add_argument("--api-port", type=int, default=API_PORT, help="%(default)s")
    asked = parser.parse_args(arguments)
    try:
        root = Root.at(boto3.client("s3"), os.environ.get("RECOMMENDER_ROOT", ""))
        found = measured(root, asked.api_port)
        send(boto3.client("cloudwatch"), asked.name, found)
    except (BotoCoreError, ClientError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(", ".join(f"{metric} {value:.1f}" for metric, (value, _) in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
