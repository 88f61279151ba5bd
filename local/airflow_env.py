"""The environment in which Airflow runs on the laptop: everything below `.local`, nothing listening beyond loopback."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from . import store
from .environment import PROJECT
from .home import Home, kept

FERNET_BYTES = 32  # what Fernet asks for
JWT_BYTES = 64  # the hash's own size: RFC 7518 asks for no less with HS512


def airflow_environment(home: Home, endpoint: str, root: str, database: str) -> dict[str, str]:
    """Variables for Airflow and the project.

    Parameters
    ----------
    endpoint : of the S3 server
    root : RECOMMENDER_ROOT, an S3 URI
    database : SQLAlchemy URL of Airflow's metadata
    """
    return _airflow(home, database) | {
        "AIRFLOW_CONN_AWS_DEFAULT": store.connection(endpoint, store.home_key(home)),
        "RECOMMENDER_ROOT": root,
        "RECOMMENDER_SNAPSHOTS": f"{root}/snapshots",
        "RECOMMENDER_CACHE": str(home.path / "cache"),
        "RECOMMENDER_AWS_CONN_ID": "aws_default",
        # More BLAS threads make implicit slower, and its factors differ from run to run.
        "OPENBLAS_NUM_THREADS": "1",
    }


def _airflow(home: Home, database: str) -> dict[str, str]:
    airflow = home.path / "airflow"
    airflow.mkdir(parents=True, exist_ok=True)
    return {
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": secret(airflow / "fernet.key"),
        "AIRFLOW__API_AUTH__JWT_SECRET": secret(airflow / "jwt-64.key", n_bytes=JWT_BYTES),
        "AIRFLOW__API__SECRET_KEY": secret(airflow / "api.key"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "tasks"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home.logs / "dag_processor"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "SCARF_ANALYTICS": "false",
    }


def secret(path: Path, n_bytes: int = FERNET_BYTES) -> str:
    """A random key in URL-safe base64, made once, readable by its owner only."""
    return kept(path, lambda: base64.urlsafe_b64encode(secrets.token_bytes(n_bytes)).decode())
