"""The texts and rows of the report page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from ..data.counts import FoldCounts
from ..data.quality import mixed_ids
from ..evaluation.evaluate import HISTORY_EDGES
from ..evaluation.gate import CANDIDATE, CHAMPION, DIGITS, POPULARITY, strongest_popularity
from ..models.rivals import RIVALS
from ..registry.verdict import Interval, Verdict
from ..runs.journal import RunFacts, TaskRecord
from .checks import reference_name, share
from .pages import instant, number, prose, title
from .report import PublishedModel, Report, Stop
from .sentence import verdict_sentence

WITHOUT_PRIOR = "without_prior"

# Section of the page -> the stages (prefixes of the names in `unreadable`) that it is read from.
READ_FROM = {
    "verdict": ("recall_gate",),
    "models": ("evaluate",),
    "data": ("resolve_snapshot", "download_reviews", "parse_reviews", "encode_interactions"),
    "training": ("train_als", "choose_model", "fit_neighbours", "fit_rivals"),
    "lists": ("recommendations",),
    "lineage": ("run", "configuration", "fit_popularity", "refit/"),
    "tasks": ("tasks/",),
}


@dataclass(frozen=True)
class Headline:
    """The outcome.

    tone : good, a wanted result; warn, a result that a person should check; bad, an error; plain
    sentence : what happens now; line : the verdict in a sentence, or empty
    """

    tone: str
    word: str
    sentence: str
    line: str = ""


def unreadable(report: Report, section: str) -> list[str]:
    """The parts of a section that could not be read, and why."""
    return [
        f"{name} could not be read. {why}"
        for name, why in sorted(report.unreadable.items())
        if any(name == stage or (stage.endswith("/") and name.startswith(stage)) for stage in READ_FROM[section])
    ]


def headline(report: Report) -> Headline:
    """The outcome of a run."""
    return replace(_outcome(report), line=verdict_sentence(report.verdict) if report.verdict else "")


def _outcome(report: Report) -> Headline:
    error, verdict, model = report.error, report.verdict, report.model
    if error:
        left = f"{model.model_id} is published, but no channel was moved." if model else "Nothing was published."
        word = _failure(error)
        return Headline("bad" if word == "ERROR" else "warn", word, f"The run stopped at {error.task}. {left}")
    if report.unchanged:
        sentence = f"Nothing changed since {report.unchanged} was made, so nothing was trained or published."
        return Headline("plain", "UNCHANGED", sentence)
    if model:
        return _published(model, verdict)
    if not report.finished:
        return Headline("plain", "RUNNING", "The run has not ended. Nothing is published so far.")
    if verdict and verdict.decision != "PROMOTE":
        sentence = f"Nothing was published, and {report.channel} stays where it was."
        return Headline("warn", verdict.decision, sentence)
    return Headline("plain", "NO VERDICT", "The run reached no verdict. Nothing was published.")


def _failure(error: Stop) -> str:
    """The title of a failure; a refusal by a person or by the gate is a result, not an error."""
    if not error.is_refusal:
        return "ERROR"
    if error.task != "approve":
        return "NOT PROMOTED"
    return "REJECTED BY A PERSON" if error.message.startswith("Rejected") else "NOT APPROVED IN TIME"


def _published(model: PublishedModel, verdict: Verdict | None) -> Headline:
    forced = verdict.forced if verdict else None
    decision = verdict.decision if verdict else model.verdict
    word = f"{decision}, FORCED" if forced else decision
    if model.promoted:
        sentence = f"The channel {model.channel} now points to {model.model_id}."
    elif model.why:
        sentence = f"{model.model_id} is published, and no channel was moved: {model.why}."
    else:
        sentence = f"{model.model_id} is published, and no channel was moved so far."
    return Headline("warn" if forced else "good", word, sentence)


def summary_sentences(report: Report) -> list[str]:
    """The candidate against popularity, rivals and live version, for readers who do not know recall."""
    verdict = report.verdict
    if not verdict:
        return []
    against, baseline, k = verdict.against_popularity, title(verdict.baseline), verdict.top_k
    level = verdict.thresholds.confidence_level * 100
    return [
        f"Of the items that a user went on to review, the candidate had put {_percent(verdict.candidate_recall)} "
        f"among its first {k} recommendations, on average over {verdict.n_users:,} users. The strongest popularity "
        f"list ({baseline}) had {_percent(verdict.baseline_recall)}.",
        f"The difference is {against.mean * 100:+.2f} percentage points; the {level:g} % interval reaches from "
        f"{against.low * 100:+.2f} to {against.high * 100:+.2f}.",
        *_against_rivals(verdict),
        *_against_live(report, verdict),
        *_against_best(verdict),
        *_breadth(report, verdict),
        "This was measured on past reviews, with factors trained before the split time. The published model is fitted "
        "again on everything before as_of. Only an online test can show whether people who see it buy more.",
    ]


def _against_rivals(verdict: Verdict) -> list[str]:
    """A sentence on the stronger of the simple models that the candidate must not lose to."""
    if not verdict.rivals:
        return []
    name, versus = min(verdict.rivals.items(), key=lambda row: row[1].mean)
    # Without the last bits, so that a recall of 0 is 0.
    recall = max(0.0, round(verdict.candidate_recall - versus.mean, DIGITS))
    who, names = f"The simple model {title(name)}", sorted(verdict.rivals)
    if len(names) > 1:
        who = f"Of the simple models {' and '.join(map(title, names))}, {title(name)} is the stronger one; it"
    level = verdict.thresholds.confidence_level
    return [f"{who} had {_percent(recall)}. Against it the candidate is {_difference(verdict, versus, recall, level)}."]


# How the champion was judged. Its served factors were fitted on the holdout too, so they cannot be judged on it.
JUDGED_CHAMPION = {
    "published": "The champion, live when this was judged, by the factors that its own gate had judged",
    "refitted": "The configuration of the champion, which has seen this holdout, fitted again on this train part",
}


def _against_live(report: Report, verdict: Verdict) -> list[str]:
    versus, recall = verdict.against_champion, verdict.champion_recall
    if versus is None or recall is None:
        return [f"It was not compared with a live model{': ' + report.champion if report.champion else ''}."]
    who = JUDGED_CHAMPION.get(str(report.champion_how), JUDGED_CHAMPION["published"])
    level = verdict.thresholds.confidence_level
    return [
        f"{who}, had {_percent(recall)}. Against it the candidate is {_difference(verdict, versus, recall, level)}."
    ]


def _against_best(verdict: Verdict) -> list[str]:
    """A sentence if the best recent version is not the champion."""
    versus, recall, level = verdict.against_reference, verdict.reference_recall, verdict.reference_level
    if versus is None or recall is None or level is None or verdict.reference == CHAMPION:
        return []
    return [
        f"Of the recent versions, {reference_name(verdict)} is the best on this holdout, with "
        f"{_percent(recall)}, and the gate compares with that: losses that are tolerated one by one would add up. "
        f"Against it the candidate is {_difference(verdict, versus, recall, level)}."
    ]


def _difference(verdict: Verdict, versus: Interval, recall: float, level: float) -> str:
    """The result of a comparison, the difference relative and in points, and its interval at a level."""
    word = "better" if versus.low > 0 else "worse" if versus.high < 0 else "not distinguishable from it"
    if verdict.n_users < verdict.thresholds.min_users:
        word = "not distinguishable with so few users"
    relative = f"{share(versus.mean / recall)} of its Recall, that is " if recall else ""
    return (
        f"{word}: {relative}{versus.mean * 100:+.2f} percentage points, {level * 100:.4g} % "
        f"from {versus.low * 100:+.2f} to {versus.high * 100:+.2f}"
    )


def _breadth(report: Report, verdict: Verdict) -> list[str]:
    """A sentence on coverage; the gate does not use it."""
    covers = {name: row.means[f"coverage@{verdict.top_k}"] for name, row in report.judged.items()}
    names = [CHAMPION, verdict.baseline, *RIVALS, WITHOUT_PRIOR]
    found = [f"{title(name)}: {_percent(covers[name])}" for name in names if name in covers]
    if CANDIDATE not in covers or not found:
        return []
    return [
        f"It recommends {_percent(covers[CANDIDATE])} of the items in train to at least one of the "
        f"{verdict.n_users:,} judged users ({'; '.join(found)}). The gate does not decide on this."
    ]


def _percent(part: float) -> str:
    return f"{part:.2%}".replace("%", " %")


def funnel_steps(report: Report) -> list[tuple[str, int, str]]:
    """Rows (step, count, what was left out), from lines to judged interactions."""
    funnel, fold, steps = report.funnel, report.fold, []
    if funnel:
        steps += [
            ("lines", funnel.lines, ""),
            ("usable reviews", funnel.reviews, f"{funnel.bad:,} unusable, {funnel.blank:,} blank"),
        ]
    if fold:
        steps += [
            ("before as_of", fold.reviews - fold.after_as_of, f"{fold.after_as_of:,} at or after as_of"),
            ("interactions", fold.interactions, f"{fold.repeated:,} repeat a user and item"),
            ("train", fold.train, _left_of_train(fold.train_dropped_rare)),
            ("holdout", fold.holdout, "the newest, from the split time on"),
            ("judged", fold.judged_interactions, f"{fold.holdout_of_cold_users:,} of cold users"),
        ]
    return steps


def mixed_ids_warning(report: Report) -> str | None:
    """A warning if the snapshot mixes generations of user ids."""
    return mixed_ids(report.funnel) if report.funnel else None


def _left_of_train(dropped: int) -> str:
    return "all before the split time" if not dropped else f"before the split time; {dropped:,} of rare users or items"


def shares(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """(name, count, share), the most frequent first."""
    total = max(1, sum(counts.values()))
    return [(name, n, n / total) for name, n in sorted(counts.items(), key=lambda row: (-row[1], row[0]))]


@dataclass(frozen=True)
class Bracket:
    """Users by their number of train interactions, and the Recall of candidate and baseline for them."""

    label: str
    users: int
    candidate: float
    baseline: float


def by_history(report: Report) -> list[Bracket]:
    """Recall of candidate and baseline for each bracket of history length."""
    judged, baseline = report.judged, baseline_of(report)
    if CANDIDATE not in judged or baseline is None:
        return []
    theirs = {row.at_least: row.recall for row in judged[baseline].by_history}
    return [
        Bracket(_bracket(row.at_least), row.users, row.recall, theirs.get(row.at_least, 0.0))
        for row in judged[CANDIDATE].by_history
    ]


def baseline_of(report: Report) -> str | None:
    """The strongest popularity: that of the verdict, else the best of those judged."""
    if report.verdict and report.verdict.baseline in report.judged:
        return report.verdict.baseline
    recall = f"recall@{report.top_k}"
    means = {name: row.means[recall] for name, row in report.judged.items() if name.startswith(POPULARITY)}
    return strongest_popularity(means) if means else None


def _bracket(start: int) -> str:
    ends = dict(pairwise(HISTORY_EDGES))
    if start not in ends:
        return f"{start}+"
    last = ends[start] - 1
    return str(start) if last == start else f"{start} to {last}"


def without_prior_missing(report: Report) -> str | None:
    """Why the judged run has no row of the candidate without its prior; None if it has one."""
    judged, chosen = report.judged, report.chosen
    if not judged or WITHOUT_PRIOR in judged or not chosen:
        return None
    if chosen.choice.prior_power == 0:
        return f"its power is 0 ({prose(chosen.why)}), so the candidate itself is without a prior"
    return "all items have the same prior, so it changes no ranking"


def sections(report: Report) -> dict[str, str]:
    """Id -> title of the sections with content: results, or why they could not be read."""
    judged, data = bool(report.judged), report.snapshot or report.funnel or report.fold
    middle = {
        "models": ("Models", judged or unreadable(report, "models")),
        "lists": ("Recommendations", report.examples or unreadable(report, "lists")),
        "data": ("Data", data or unreadable(report, "data")),
        "chosen": ("Chosen model", report.chosen),
        "training": ("Training", report.training or unreadable(report, "training")),
        "history": ("History length", by_history(report)),
        "served": ("Users and items", judged),
        "beyond": ("Beyond accuracy", judged),
    }
    shown = {} if report.unchanged else {name: heading for name, (heading, there) in middle.items() if there}
    return {"verdict": "Verdict", **shown, "lineage": "Lineage", "tasks": "Tasks"}


NOT_REACHED = {"data": "parsing reviews", "training": "training", "models": "judging"}


def not_reached(report: Report) -> str:
    """A sentence on the parts that the run did not reach; empty if it reached all."""
    if report.unchanged:
        return ""
    missing = [stage for section, stage in NOT_REACHED.items() if section not in sections(report)]
    return f"The run did not reach {', '.join(missing)}." if missing else ""


def lineage(report: Report) -> list[tuple[str, str]]:
    """Rows (name, value) on the origin of the run."""
    run, fold, model = report.run, report.fold, report.model
    rows = [
        ("As of", instant(run.as_of) if run else None),
        ("Split time", instant(fold.split_s) if fold else None),
        ("Snapshot", _snapshot(report)),
        ("Model", model.model_id if model else None),
        ("Tuned configuration", _tuned(run) if run else None),
        ("Published factors", _refitted(report.refitted) if report.refitted else None),
    ]
    return [(name, value) for name, value in rows if value]


def _snapshot(report: Report) -> str | None:
    if not report.snapshot:
        return None
    day, run = report.snapshot.snapshot, report.run
    return f"{day} (the newest on or before the run's date)" if run and not run.snapshot else day


def _tuned(run: RunFacts) -> str | None:
    if run.tuned_values:
        values = ", ".join(f"{name} {number(value)}" for name, value in sorted(run.tuned_values.items()))
        return f"{run.tuned}: {values}"
    tuned = run.params.get("tuned")
    return f"{tuned} was requested and not used; see the log of the first task" if tuned else None


def _refitted(fold: FoldCounts) -> str:
    return f"fitted on {fold.train:,} interactions of {fold.train_users:,} users and {fold.train_items:,} items"


def changed(report: Report) -> list[str]:
    """Parameters with another value than their default."""
    return [row.param for row in report.configuration if row.value != row.default]


def tone(task: TaskRecord, report: Report) -> str:
    """The colour of a task's state: only errors are red."""
    tones = {"success": "good", "not promoted": "warn", "failed": "bad", "killed": "bad"}
    return tones.get(state(task, report), "plain")


def state(task: TaskRecord, report: Report) -> str:
    """The state of a task as one word; a refusal by the gate is not called a failure."""
    if task.error and task.error.kind == "GateRejected":
        return "not promoted"
    return "killed" if task.state == "running" and report.finished else task.state
