"""Recall@K over as_of: how candidates, popularity and champion fared, run after run, and which version is live.

Reads small JSON only: at most `NEWEST` reports, and the manifests of versions whose reports are gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import DataError
from ..registry.bundle import Manifest
from ..registry.channels import Move
from ..registry.moves import instant, replay
from ..registry.parallel import read_each
from ..registry.registry import Registry
from ..storage.objects import ObjectStore
from .pages import environment
from .trend_plot import Point, trend_plot

NEWEST = 120
ERROR, REFUSED = "ERROR", "NOT PROMOTED"  # refused by a person, or against a champion that came meanwhile
MAIN_CHANNEL = "production"


def trend_name(channel: str) -> str:
    """A channel's page, relative to `reports/`."""
    return "trend.html" if channel == MAIN_CHANNEL else f"trend-{channel}.html"


def write_trend(root: ObjectStore, channel: str) -> str:
    """Write a channel's page anew; return its URI. Of two runs that end together, the later one shows both."""
    key = f"reports/{trend_name(channel)}"
    root.write(key, render_trend(points(root, channel), channel).encode())
    return root.uri(key)


def points(root: ObjectStore, channel: str) -> list[Point]:
    """What is known of a channel's runs, by as_of; of one as_of by the dates in the run ids."""
    registry = Registry(root)
    history = registry.channels.history(channel)
    live = _standing(history)
    found = [point for name, body in _reports(root) for point in _from_report(name, body, channel, live)]
    known = {point.model_id for point in found}
    gone = [name for name in dict.fromkeys(move.to_model for move in history) if name not in known][-NEWEST:]
    manifests = registry.manifests(gone).values()
    found += [_from_manifest(body, live) for body in manifests if not isinstance(body, DataError)]
    return sorted(found, key=lambda point: (instant(point.as_of), _when(point.report or ""), point.report or ""))


def _reports(root: ObjectStore) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The newest reports by the date in their run ids (`<type>__<date>`)."""
    names = sorted(root.folders("reports/"), key=lambda name: (_when(name), name))[-NEWEST:]
    raws = read_each(root, [f"reports/{name}/report.json" for name in names])
    for name, raw in zip(names, raws, strict=True):
        try:
            body = json.loads(raw) if raw is not None else None
        except ValueError:
            body = None
        if isinstance(body, dict) and body.get("run"):
            yield name, body


def _when(run: str) -> str:
    """The date in the name of a run, `<type>__<date>`."""
    return run.rpartition("__")[2]


def _from_report(name: str, body: Mapping[str, Any], channel: str, live: Mapping[str, str]) -> list[Point]:
    run, verdict, model = body["run"], body.get("verdict") or {}, body.get("model") or {}
    error = body.get("error")
    outcome = verdict.get("decision") if not error else REFUSED if error["kind"] == "GateRejected" else ERROR
    if run["channel"] != channel or outcome is None:
        return []
    model_id = model.get("model_id")
    snapshot = (body.get("snapshot") or {}).get("snapshot") or run.get("snapshot")
    standing = live.get(model_id, "") if model_id else ""
    point = _point(run["as_of"], snapshot, outcome, verdict, model_id, standing, f"{name}/report.html")
    return [point]


def _from_manifest(body: Manifest, live: Mapping[str, str]) -> Point:
    standing = live.get(body.model_id, "")
    return _point(body.as_of.isoformat(), body.snapshot, body.decision, body.verdict, body.model_id, standing, None)


def _point(
    as_of: str,
    snapshot: str | None,
    outcome: str,
    verdict: Mapping[str, Any],
    model_id: str | None,
    live: str,
    report: str | None,
) -> Point:
    return Point(
        as_of,
        snapshot,
        outcome,
        verdict.get("top_k"),
        verdict.get("candidate_recall"),
        verdict.get("opponent_recall"),
        verdict.get("opponent"),
        verdict.get("champion_recall"),
        model_id,
        live,
        report,
    )


def _standing(history: Sequence[Move]) -> dict[str, str]:
    """Version -> live, was live, or rolled back."""
    told = dict.fromkeys((move.to_model for move in history), "was live")
    told |= dict.fromkeys(replay(history).rolled_back, "rolled back")
    return told | ({history[-1].to_model: "live"} if history else {})


def render_trend(found: Sequence[Point], channel: str) -> str:
    """The page. Runs with another K than the newest one's are in the table only."""
    judged = [point for point in found if point.candidate is not None]
    top_k = judged[-1].top_k if judged else None
    drawn = [point for point in found if point.top_k == top_k or point.candidate is None]
    page = environment().get_template("trend.html")
    return page.render(
        channel=channel,
        points=list(reversed(found)),
        top_k=top_k,
        n_other_k=len(found) - len(drawn),
        newest=NEWEST,
        plot=trend_plot(drawn, top_k) if judged else None,
    )
