"""How a run ended, in plain text, from its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def ending(report: Mapping[str, Any], uri: str, copy: Path, endpoint: str) -> str:
    """The gate's table, the verdict, what was reused, the model and the report; or what went wrong.

    Parameters
    ----------
    report : what `report.json` holds
    uri, copy : where `report.html` is, in the store and on this machine
    """
    parts = ["", _tasks(report["tasks"])]
    if report["table"]:
        parts += ["", report["table"]]
    parts += ["", *_result(report, uri, endpoint), f"Report:  {copy}", f"         {uri}"]
    return "\n".join(parts)


def status(report: Mapping[str, Any]) -> int:
    """0 where the run reached a verdict, or had nothing to do, and nothing failed after it; else 1."""
    return 1 if report["error"] or not (report["verdict"] or report.get("unchanged")) else 0


def _tasks(tasks: list[Mapping[str, Any]]) -> str:
    reused = [row["task"] for row in tasks if row["reused"]]
    made = [row["task"] for row in tasks if row.get("artifacts") and not row["reused"]]
    lines = [f"Made:    {', '.join(made) or 'nothing new'}"]
    if reused:
        lines.append(f"Reused:  {', '.join(reused)}")
    return "\n".join(lines)


def _result(report: Mapping[str, Any], uri: str, endpoint: str) -> list[str]:
    error, verdict, model = report["error"], report["verdict"], report["model"]
    if error:
        return [f"Error in {error['task']}: {error['kind']}: {error['message']}"]
    if report.get("unchanged"):
        model_id, root = report["unchanged"], uri.partition("/reports/")[0]
        return [
            "Result:  nothing to do: the model of the table has the same reviews and configuration",
            f"Model:   {model_id}",
            f"         {root}/models/{model_id}  at {endpoint}",
        ]
    if not verdict:
        return ["The run ended without a verdict and without an error; see its log."]
    against = verdict["against_popularity"]
    interval = f"{against['mean']:+.4f} ({against['low']:+.4f}, {against['high']:+.4f})"
    lines = [f"Result:  {verdict['decision']}, Recall@{verdict['top_k']} minus {verdict['opponent']}: {interval}"]
    if not model:
        return [*lines, "Model:   none published"]
    lines += [f"Model:   {model['model_id']}", f"         {model['uri']}  at {endpoint}"]
    promoted = f"{model['channel']} points to it now" if model["promoted"] else f"not moved: {model['why']}"
    return [*lines, f"Channel: {promoted}"]
