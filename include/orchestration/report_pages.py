"""The reports of runs as pages of the API server: read from S3 with the configured connection, for users who may read
the DAG's runs.

Only the API server imports this, at the first request. No `from __future__ import annotations`: FastAPI reads the
annotations of functions that are defined within another.
"""

import html
import logging
import re

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from include.recommender.errors import NotFound, RecommenderError, TransientError
from include.recommender.parameters.of_run import CHANNEL_PATTERN
from include.recommender.runs.dag_names import RETRAIN_DAG, TUNE_DAG
from include.recommender.runs.journal import folder_id, run_name

from .settings import Settings

log = logging.getLogger(__name__)

FOLDER = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,299}")
RUN_FILES = {"report.html": "text/html; charset=utf-8", "report.json": "application/json"}
TREND = re.compile(rf"trend(-{CHANNEL_PATTERN})?\.html")
# Content of the bucket gets no rights in Airflow's origin: no scripts, no forms, no external resources. Same-origin
# keeps the session for links between reports.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-same-origin allow-popups",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
NOT_YET = (
    "There is no report of this run yet. It is written when the run ends, also when it fails; and before a person is "
    "asked to approve."
)


def may_read(request: Request, user: GetUserDep) -> None:
    """Refuse users who may not read the runs of the DAG of a path; every route depends on this."""
    wanted = request.path_params.get("dag_id", "")
    folder = request.path_params.get("folder", "")
    is_search = wanted == TUNE_DAG or folder.startswith(f"{TUNE_DAG}__")
    requires_access_dag("GET", DagAccessEntity.RUN, TUNE_DAG if is_search else RETRAIN_DAG)(request, user)


def build() -> FastAPI:
    """Build the app; `may_read` guards every route."""
    app = FastAPI(dependencies=[Depends(may_read)], openapi_url=None, docs_url=None, redoc_url=None)
    app.get("/runs/{dag_id}/{run_id:path}")(of_run)
    app.get("/reports/{folder}/{name}")(run_file)
    app.get("/reports/{name}")(trend_page)
    return app


def of_run(dag_id: str, run_id: str, request: Request) -> Response:
    """Redirect to the report of a run, under the address at which its links work."""
    if dag_id not in {RETRAIN_DAG, TUNE_DAG}:
        return _page(404, f"The DAG {dag_id} writes no reports of a recommender.")
    path = f"{request.scope.get('root_path', '')}/reports/{run_name(folder_id(dag_id, run_id))}/report.html"
    return RedirectResponse(path, status_code=307, headers=HEADERS)


def run_file(folder: str, name: str) -> Response:
    """A file of a run's report."""
    if not FOLDER.fullmatch(folder) or name not in RUN_FILES:
        return _page(404, "There is no such page.")
    return _stored(f"reports/{folder}/{name}", RUN_FILES[name])


def trend_page(name: str) -> Response:
    """Recall over time."""
    if not TREND.fullmatch(name):
        return _page(404, "There is no such page.")
    return _stored(f"reports/{name}", RUN_FILES["report.html"])


def _stored(key: str, content_type: str) -> Response:
    try:
        body = Settings.from_environment().workspace().root.read(key)
    except NotFound:
        return _page(404, NOT_YET)
    except RecommenderError as error:
        log.warning("%s cannot be served: %s", key, error)
        return _page(503 if isinstance(error, TransientError) else 500, f"The report cannot be read: {error}")
    return Response(body, headers={**HEADERS, "Content-Type": content_type})


def _page(status: int, sentence: str) -> Response:
    style = "font-family: system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem"
    return HTMLResponse(
        f"<!doctype html><meta charset=utf-8><title>Recommender</title><p style='{style}'>{html.escape(sentence)}</p>",
        status_code=status,
        headers=HEADERS,
    )
