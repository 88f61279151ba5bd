"""Recall@K of candidates, popularity and champion over the newest known interaction, and the live version.

It reads small JSON only: at most `NEWEST` reports, and the manifests of versions whose reports are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import DataError
from ..parameters import MAIN_CHANNEL
from ..registry.channels import Move
from ..registry.moves import instant, replay
from ..registry.parallel import read_each
from ..registry.registry import Registry
from ..registry.verdict import Verdict
from ..storage.objects import ObjectStore
from ..storage.plain_names import name_problem
from .pages import environment
from .trend_plot import NARROW_IN, WIDTH_IN, Point, trend_plot
from .trend_source import ReportPart, VerdictPart, read_report

NEWEST = 120
ERROR, REFUSED = "ERROR", "NOT PROMOTED"  # refused by a person, or judged again against a new champion
UNCHANGED = "UNCHANGED"


@dataclass(frozen=True)
class Runs:
    """The runs of a channel, and folder -> reason for reports that could not be read."""

    points: list[Point]
    unreadable: dict[str, str]


def trend_name(channel: str) -> str:
    """A channel's page, relative to `reports/`."""
    return "trend.html" if channel == MAIN_CHANNEL else f"trend-{channel}.html"


def write_trend(root: ObjectStore, channel: str) -> str:
    """Write the page of a channel; return its URI. If two runs end together, the later write shows both."""
    key = f"reports/{trend_name(channel)}"
    root.write(key, render_trend(read_runs(root, channel), channel).encode())
    return root.uri(key)


def read_runs(root: ObjectStore, channel: str) -> Runs:
    """Return a channel's runs by newest known interaction (else by as_of), then by the date in the run id."""
    registry = Registry(root)
    history = registry.channels.history(channel)
    live = _version_states(history)
    unreadable: dict[str, str] = {}
    reports = [(name, body) for name, body in _reports(root, unreadable) if body.run and body.run.channel == channel]
    found = [point for name, body in reports for point in _from_report(name, body, live)]
    shown = {point.model_id for point in found if point.outcome != UNCHANGED}
    gone = [name for name in dict.fromkeys(move.to_model for move in history) if name not in shown][-NEWEST:]
    found += _from_manifests(registry, gone, live)
    knew = {point.model_id: point.known_s for point in found if point.model_id and point.known_s is not None}
    found = [replace(each, known_s=knew.get(each.model_id or "")) if each.known_s is None else each for each in found]
    return Runs(sorted(found, key=_order), unreadable)


def points(root: ObjectStore, channel: str) -> list[Point]:
    """The runs of `read_runs`."""
    return read_runs(root, channel).points


def _order(point: Point) -> tuple[float, str, str]:
    known = float(point.known_s) if point.known_s is not None else instant(point.as_of).timestamp()
    return known, _when(point.report or ""), point.report or ""


def _reports(root: ObjectStore, unreadable: dict[str, str]) -> Iterable[tuple[str, ReportPart]]:
    """The newest reports by the date in their run ids (`<type>__<date>`)."""
    # A name becomes a link, where a colon would make it a scheme.
    plain = (name for name in root.folders("reports/") if name_problem(name) is None)
    names = sorted(plain, key=lambda name: (_when(name), name))[-NEWEST:]
    keys = [f"reports/{name}/report.json" for name in names]
    for name, key, raw in zip(names, keys, read_each(root, keys), strict=True):
        try:
            if raw is not None:
                yield name, read_report(raw, root.uri(key))
        except DataError as error:
            unreadable[name] = str(error)


def _when(run: str) -> str:
    """The date in the name of a run, `<type>__<date>`."""
    return run.rpartition("__")[2]


def _from_report(name: str, body: ReportPart, live: Mapping[str, str]) -> list[Point]:
    outcome, run = _outcome(body), body.run
    if outcome is None or run is None:
        return []
    model_id = body.model.model_id if body.model else body.unchanged
    point = Point(
        as_of=run.as_of,
        known_s=body.fold.last_s if body.fold else None,
        snapshot=body.snapshot.snapshot if body.snapshot else run.snapshot,
        outcome=outcome,
        model_id=model_id,
        live=live.get(model_id, "") if model_id else "",
        report=f"{name}/report.html",
        sample=body.generated_sample,
    )
    return [_judged(point, body.verdict)]


def _outcome(body: ReportPart) -> str | None:
    if body.error:
        return REFUSED if body.error.kind == "GateRejected" else ERROR
    if body.unchanged:
        return UNCHANGED
    return body.verdict.decision if body.verdict else None


def _judged(point: Point, verdict: VerdictPart | Verdict | None) -> Point:
    if verdict is None:
        return point
    return replace(
        point,
        top_k=verdict.top_k,
        candidate=verdict.candidate_recall,
        popularity=verdict.baseline_recall,
        baseline=verdict.baseline,
        champion=verdict.champion_recall,
    )


def _from_manifests(registry: Registry, names: Sequence[str], live: Mapping[str, str]) -> list[Point]:
    """Points of versions without a report; the registry reports unreadable manifests."""
    found = []
    for name, about in registry.manifests(names).items():
        if isinstance(about, DataError):
            continue
        point = Point(
            as_of=about.as_of.isoformat(),
            known_s=about.published_split_s - 1,
            snapshot=about.snapshot,
            outcome=about.decision,
            model_id=name,
            live=live.get(name, ""),
        )
        found.append(_judged(point, about.verdict))
    return found


def _version_states(history: Sequence[Move]) -> dict[str, str]:
    """Version -> live, was live, or rolled back."""
    states = dict.fromkeys((move.to_model for move in history), "was live")
    states |= dict.fromkeys(replay(history).rolled_back, "rolled back")
    return states | ({history[-1].to_model: "live"} if history else {})


def render_trend(runs: Runs, channel: str) -> str:
    """Render the page. Runs with another K than the newest, or without known data, are in the table only."""
    judged = [point for point in runs.points if point.candidate is not None]
    top_k = judged[-1].top_k if judged else None
    drawn = [point for point in judged if point.top_k == top_k and point.known_s is not None]
    sizes = {"wide": WIDTH_IN, "narrow": NARROW_IN}
    return (
        environment()
        .get_template("trend.html")
        .render(
            channel=channel,
            points=list(reversed(runs.points)),
            unreadable=runs.unreadable,
            sample=bool(runs.points) and any(point.sample for point in runs.points),
            top_k=top_k,
            n_other_k=sum(point.top_k != top_k for point in judged),
            newest=NEWEST,
            plots={name: trend_plot(drawn, top_k, name, width) for name, width in sizes.items()} if drawn else {},
        )
    )
