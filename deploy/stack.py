"""The stack that `make up` starts on a laptop and docker-compose.yaml in containers: what both have to say.

It needs the standard library alone, as `deploy.make_env` and `deploy.health` do. docker-compose.yaml and the Dockerfile
repeat it in their own languages; tests/deploy/test_stack.py holds them to this module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath

UI_PORT, API_PORT = 8080, 8090
LAPTOP_STORE_PORT = 9010
USER = "admin"
BUCKET, REGION = "recommender", "us-east-1"
POOL, POOL_SLOTS, POOL_ABOUT = "recommender_training", 1, "One training at a time: it takes the machine's memory"
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
HEALTH = "/api/v2/monitor/health"
COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")  # as the answer of HEALTH calls them
FERNET_BYTES = 32  # what Fernet asks for
SIGNING_BYTES = 64  # the size of the hash: RFC 7518 asks for no less with HS512
# Settings of docs/operations.md that a person gives; what the code reads besides is the stack's own.
AIRFLOW_SETTINGS = (
    *("RECOMMENDER_ROOT", "RECOMMENDER_SNAPSHOTS", "RECOMMENDER_CACHE", "RECOMMENDER_AWS_CONN_ID"),
    *("RECOMMENDER_SCHEDULE", "RECOMMENDER_SCHEDULE_TIMEZONE", "RECOMMENDER_TRAINING_POOL", "RECOMMENDER_WAIT_HOURS"),
    *("RECOMMENDER_APPROVAL", "RECOMMENDER_APPROVAL_HOURS", "RECOMMENDER_SNS_TOPIC_ARN", "RECOMMENDER_NOTIFIERS"),
    "RECOMMENDER_AWS_BATCH",
)
# Settings of docs/api.md; parameters/of_api.py defines them.
API_SETTINGS = (
    *("RECOMMENDER_API_CHANNEL", "RECOMMENDER_API_SECOND_CHANNEL", "RECOMMENDER_API_SECOND_SHARE"),
    *("RECOMMENDER_API_EXPERIMENT", "RECOMMENDER_API_KEYS_FILE", "RECOMMENDER_API_OPEN", "RECOMMENDER_API_POLL_S"),
    *("RECOMMENDER_API_QUEUE", "RECOMMENDER_API_TIMEOUT_S", "RECOMMENDER_API_CACHE", "RECOMMENDER_API_BODY_BYTES"),
    *("RECOMMENDER_API_LOG_LISTS", "RECOMMENDER_API_WORKERS"),
)
# Read by deploy/prepare.py alone: 0 leaves the samples out.
SAMPLES = "RECOMMENDER_SAMPLES"
SETTINGS = (*AIRFLOW_SETTINGS, *API_SETTINGS, SAMPLES)
# What docker-compose.yaml sets itself: a volume, and the file of keys in another one.
OF_CONTAINERS = frozenset({"RECOMMENDER_CACHE", "RECOMMENDER_API_KEYS_FILE", "RECOMMENDER_API_OPEN"})


@dataclass(frozen=True)
class Store:
    """An S3-compatible object store, and a key that it takes."""

    endpoint: str
    key_id: str
    secret: str

    def connection(self) -> str:
        """For Airflow: a connection of type aws, in JSON."""
        # Presigned addresses would have the older signature else.
        kwargs = {"signature_version": "s3v4"}
        extra = {"endpoint_url": self.endpoint, "region_name": REGION, "config_kwargs": kwargs}
        return json.dumps({"conn_type": "aws", "login": self.key_id, "password": self.secret, "extra": extra})

    def boto3(self) -> dict[str, str]:
        """For what does not ask Airflow's connection, as boto3 reads it: the registry's commands, any script."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True)
class Keys:
    """Airflow's secrets: `fernet` has FERNET_BYTES in URL-safe base64, the others at least SIGNING_BYTES characters."""

    fernet: str
    jwt: str
    api: str


@dataclass(frozen=True, kw_only=True)
class Airflow:
    """An Airflow that runs the DAGs.

    home : AIRFLOW_HOME
    project : where dags/ and plugins/ lie
    database : SQLAlchemy's URL of its metadata
    root, cache : RECOMMENDER_ROOT (an S3 URI) and RECOMMENDER_CACHE
    """

    home: PurePath
    project: PurePath
    database: str
    keys: Keys
    store: Store
    root: str
    cache: PurePath

    def environment(self) -> dict[str, str]:
        """The variables of all its processes."""
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.project / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__FERNET_KEY": self.keys.fernet,
            "AIRFLOW__API_AUTH__JWT_SECRET": self.keys.jwt,
            "AIRFLOW__API__SECRET_KEY": self.keys.api,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            "AIRFLOW_CONN_AWS_DEFAULT": self.store.connection(),
            "RECOMMENDER_ROOT": self.root,
            "RECOMMENDER_CACHE": str(self.cache),
            # More BLAS threads make implicit slower, and its factors differ from run to run.
            "OPENBLAS_NUM_THREADS": "1",
        }


@dataclass(frozen=True)
class Server:
    """An Airflow with an API server.

    ui, api : its address for people, and for the other parts
    """

    ui: str
    api: str
    parallelism: int

    def environment(self) -> dict[str, str]:
        """What its parts need besides."""
        return {
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": str(self.parallelism),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.api}/execution/",
            "AIRFLOW__API__BASE_URL": self.ui,
            "RECOMMENDER_TRAINING_POOL": POOL,
        }
