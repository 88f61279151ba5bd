"""Alerts about failed runs, including HOLD and REJECT, through the Airflow notifiers of the deployment."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.sdk.log import mask_secret

from include.recommender.errors import RecommenderError
from include.recommender.reporting.report import read_report
from include.recommender.reporting.view import headline
from include.recommender.runs.journal import Journal, folder_id
from include.recommender.storage.redaction import printable

from .connection import check_connection
from .deployment import SNS_NOTIFIER, NotifierSpec, notifiers
from .settings import Settings

log = logging.getLogger(__name__)

SUBJECT_CHARS = 100  # the limit of SNS, which also wants ASCII in one line
SECRET_CHARS = 4
MASKED_CHARS = 8
URL_END = re.compile(r"(https?://[^/\s\"']+)/[^\s\"']*")  # hooks of chats have their token in the path
TEXT_CHARS = 60_000  # far below the 256 KiB of SNS


@dataclass(frozen=True)
class Alert:
    """The content of a notification; templates read it as `alert`."""

    subject: str
    text: str


def run_failed(context: Any) -> None:
    """Airflow's callback of a failed run."""
    send(compose(context), context)


def send(alert: Alert, context: Any) -> None:
    """Call every configured notifier; a failure of one does not stop the others."""
    for spec in notifiers():
        try:
            _send(spec, alert, context)
        except Exception as error:  # noqa: BLE001 whatever somebody else's notifier raises
            # Neither the traceback nor the error's own text as it is: tokens are in kwargs, and in the URLs of hooks.
            log.error("%s did not send %r: %s", spec.path, alert.subject, without_secrets(error, spec))


def _send(spec: NotifierSpec, alert: Alert, context: Any) -> None:
    if spec.path == SNS_NOTIFIER:
        # Airflow would publish with the credentials of the machine where there is no such connection.
        check_connection(spec.kwargs["aws_conn_id"])
    for secret in _texts(spec.kwargs) if spec.path != SNS_NOTIFIER else ():
        if "{{" not in secret and len(secret) >= MASKED_CHARS:
            mask_secret(secret)  # Airflow's notifiers log the error of a service themselves, with its URL
    module, _, name = spec.path.rpartition(".")
    notifier = getattr(import_module(module), name)
    notifier(**spec.kwargs)({**context, "alert": alert})


def without_secrets(error: BaseException, spec: NotifierSpec) -> str:
    """The kind of an error and its text, without texts of the notifier's settings and without paths of URLs."""
    if isinstance(error, RecommenderError):
        return f"{type(error).__name__}: {error}"
    text = str(error)
    for value in sorted(set(_texts(spec.kwargs)), key=len, reverse=True):
        text = text.replace(value, "***")
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(frame[0].filename).name}, line {frame[0].lineno})" if frame else ""
    shown = printable(URL_END.sub(r"\1/***", text))
    return f"{type(error).__name__}: {shown}{where}"


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value that are long enough for a secret, with the parts of URLs."""
    if isinstance(value, str):
        parts = [value, *re.split(r"[/?&=@:\s]+", value)] if "://" in value else [value]
        yield from (part for part in parts if len(part) >= SECRET_CHARS)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def compose(context: Mapping[str, Any]) -> Alert:
    """Compose an alert from the run's report. Without one it has Airflow's reason and the errors of the tasks."""
    run_id, dag_id = str(context["run_id"]), context["dag"].dag_id
    journal = None
    try:
        journal = Journal(Settings.from_environment().workspace().root, folder_id(dag_id, run_id))
        key = f"{journal.folder}/report.json"
        report = read_report(journal.objects.read(key), journal.objects.uri(key))
        found = headline(report)
    except (RecommenderError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("The report of %s cannot be read: %s", run_id, error)
        reason = f"{context.get('reason')}. See the log of the failed task; there is no report ({error})."
        return _alert(dag_id, "FAILED", reason, run_id=run_id, details=_errors(journal))
    details = [report.error.message] if report.error else []
    details += [report.table] if report.table else []
    where = journal.objects.uri(f"{journal.folder}/report.html")
    sentence = f"{found.line}. {found.sentence}" if found.line else found.sentence
    return _alert(dag_id, found.word, sentence, run_id=run_id, details="\n\n".join([*details, f"Report: {where}"]))


def _errors(journal: Journal | None) -> str:
    """The errors that the tasks of a run recorded."""
    try:
        records = journal.records() if journal else []
    except RecommenderError as error:
        log.warning("The journal of a run cannot be read: %s", error)
        return ""
    failed = [(record.task, record.error) for record in records if record.error]
    return "\n\n".join(f"{task}: {error.kind}: {error.message}" for task, error in failed)


def approval_wanted(dag_id: str, run_id: str, question: str, patience: timedelta) -> Alert:
    """An alert that a run waits for approval: the run, the question, the deadline and the link."""
    sentence = (
        f"The run waits for a person, {patience / timedelta(hours=1):g} hours at most, and fails then. "
        "Answer in the UI, under Required Actions."
    )
    return _alert(dag_id, "APPROVAL WANTED", sentence, run_id=run_id, details=question)


def _alert(dag_id: str, word: str, sentence: str, run_id: str, details: str) -> Alert:
    from airflow.configuration import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    link = f"Airflow: {base}/dags/{dag_id}/runs/{run_id}" if base else ""
    subject = f"{dag_id}: {word} ({run_id})".encode("ascii", "replace").decode()[:SUBJECT_CHARS]
    opening = sentence if sentence.startswith(f"{word}: ") else f"{word}. {sentence}"
    text = "\n\n".join(filter(None, [opening, f"Run {run_id}", details, link]))
    return Alert(subject, text[:TEXT_CHARS])
