"""The environment in which Airflow runs on the laptop: everything below `.local`, nothing listening beyond loopback."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path

from deploy import stack

from .environment import PROJECT
from .home import Home, kept

HOST = "127.0.0.1"


def airflow_environment(home: Home, store: stack.Store, root: str, database: str) -> dict[str, str]:
    """Variables for Airflow and the project.

    Parameters
    ----------
    root : RECOMMENDER_ROOT, an S3 URI
    database : SQLAlchemy URL of Airflow's metadata
    """
    folder = home.path / "airflow"
    keys = stack.Keys(
        fernet=secret(folder / "fernet.key", stack.FERNET_BYTES),
        jwt=secret(folder / "jwt-64.key", stack.SIGNING_BYTES),
        api=secret(folder / "api-64.key", stack.SIGNING_BYTES),
    )
    airflow = stack.Airflow(
        home=folder, project=PROJECT, database=database, keys=keys, store=store, root=root, cache=home.path / "cache"
    )
    return airflow.environment() | {
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "tasks"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home.logs / "dag_processor"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "RECOMMENDER_SNAPSHOTS": f"{root}/snapshots",
        "RECOMMENDER_AWS_CONN_ID": "aws_default",
        "SCARF_ANALYTICS": "false",
    }


def serving_environment(home: Home, port: int) -> dict[str, str]:
    """What the parts of `make up` need besides: where they listen, and who may log in."""
    address = f"http://{HOST}:{port}"
    password(home)
    return stack.Server(address, address, parallelism=4).environment() | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{stack.USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(home)),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


def password(home: Home) -> str:
    """Of the user of the UI, made once."""
    return str(
        json.loads(kept(_passwords(home), lambda: json.dumps({stack.USER: secrets.token_urlsafe(12)})))[stack.USER]
    )


def secret(path: Path, n_bytes: int) -> str:
    """A random key in URL-safe base64, made once, readable by its owner only."""
    return kept(path, lambda: base64.urlsafe_b64encode(secrets.token_bytes(n_bytes)).decode())


def _passwords(home: Home) -> Path:
    return home.path / "airflow" / "login.json"
