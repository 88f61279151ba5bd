"""Notices of failed runs, HOLD and REJECT among them, through whatever Airflow notifiers the deployment names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from include.recommender.errors import RecommenderError
from include.recommender.reporting.journal import Journal
from include.recommender.reporting.view import headline
from include.recommender.storage.documents import parse_json

from .deployment import Deployment
from .settings import Settings

log = logging.getLogger(__name__)

SUBJECT_CHARS = 100  # the limit of SNS, which also wants ASCII in one line
TEXT_CHARS = 60_000  # far below the 256 KiB of SNS


@dataclass(frozen=True)
class Alert:
    """What notifiers tell; their templates have it as `alert`."""

    subject: str
    text: str


def run_failed(context: Any) -> None:
    """Airflow's callback of a failed run."""
    send(compose(context), context)


def send(alert: Alert, context: Any) -> None:
    """Tell every configured notifier; one that fails does not keep the others from being told."""
    for spec in Deployment.from_environment().notifiers:
        try:
            module, _, name = spec.path.rpartition(".")
            notifier = getattr(import_module(module), name)
            notifier(**spec.kwargs)({**context, "alert": alert})
        except Exception:  # whatever somebody else's notifier raises
            log.exception("%s did not send: %s", spec.path, alert.subject)


def compose(context: Mapping[str, Any]) -> Alert:
    """From the run's report, which holds the gate's table or the error; from Airflow's reason where there is none."""
    run_id, dag_id = str(context["run_id"]), context["dag"].dag_id
    journal = None
    try:
        journal = Journal(Settings.from_environment().workspace().root, run_id)
        key = f"{journal.folder}/report.json"
        report = parse_json(journal.objects.read(key), journal.objects.uri(key), "Clear the task write_report.")
        told = headline(report)
    except (RecommenderError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("The report of %s cannot be read: %s", run_id, error)
        reason = f"{context.get('reason')}. The log of the task that failed tells why; there is no report ({error})."
        return _alert(dag_id, "FAILED", reason, run_id, "")
    failure = report["error"]
    details = [failure["message"]] if failure else []
    details += [report["table"]] if report["table"] else []
    where = journal.objects.uri(f"{journal.folder}/report.html")
    return _alert(dag_id, told["word"], told["sentence"], run_id, "\n\n".join([*details, f"Report: {where}"]))


def approval_wanted(dag_id: str, run_id: str, question: str, patience: timedelta) -> Alert:
    """That a run waits for a person: which run, what is asked, how long it waits, and where to answer."""
    sentence = (
        f"The run waits for a person, {patience / timedelta(hours=1):g} hours at most, and fails then. "
        "Answer in the UI, under Required Actions."
    )
    return _alert(dag_id, "APPROVAL WANTED", sentence, run_id, question)


def _alert(dag_id: str, word: str, sentence: str, run_id: str, details: str) -> Alert:
    from airflow.configuration import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    link = f"Airflow: {base}/dags/{dag_id}/runs/{run_id}" if base else ""
    subject = f"{dag_id}: {word} ({run_id})".encode("ascii", "replace").decode()[:SUBJECT_CHARS]
    text = "\n\n".join(filter(None, [f"{word}. {sentence}", f"Run {run_id}", details, link]))
    return Alert(subject, text[:TEXT_CHARS])
