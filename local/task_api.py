"""Airflow's task API, cut down to the versions that a run in one process needs.

`dag.test` builds this API in its own process, once for each version of Airflow that a worker may have: nine in 3.3.2,
six seconds of CPU. Here the only client is this process, of the newest version. Two versions are kept besides: an
endpoint that the newest one has dropped must be restored in an older one, or the API refuses to be built.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

log = logging.getLogger(__name__)

VERSIONS = "airflow.api_fastapi.execution_api.versions"
KEPT = 2


def keep_newest_versions() -> None:
    """To be called before Airflow imports that API. An Airflow that is built otherwise keeps all of its versions.

    That is logged: nothing else shows it but the seconds of the start.
    """
    try:
        import cadwyn
    except ImportError as error:
        log.info("Airflow's task API keeps all of its versions: %s", error)
        return
    bundle, cut = cadwyn.VersionBundle, list[int]()

    def newest(head: Any, *versions: Any, **options: Any) -> Any:
        older = [cadwyn.Version(version.value) for version in versions[KEPT : KEPT + 1]]
        cut.append(len(versions) - KEPT - len(older))
        return bundle(head, *versions[:KEPT], *older, **options)

    cadwyn.VersionBundle = newest  # type: ignore[assignment,misc]
    reason = f"{VERSIONS} was imported before, or makes no bundle of them"
    try:
        import_module(VERSIONS)
    except ImportError as error:
        reason = str(error)
    finally:
        cadwyn.VersionBundle = bundle  # type: ignore[misc]
    if not any(cut):
        log.info("Airflow's task API keeps all of its versions: %s", reason)
