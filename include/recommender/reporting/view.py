"""A report in the words and rows that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..data.quality import mixed_ids
from ..evaluation.evaluate import HISTORY_EDGES
from ..evaluation.gate import CANDIDATE, CHAMPION, POPULARITY, strongest_popularity
from ..parameters import MAIN_CHANNEL
from .checks import reference_name, share
from .pages import instant, number, title
from .sentence import verdict_sentence

Report = Mapping[str, Any]
WITHOUT_PRIOR = "without_prior"

# Section of the page -> the stages (prefixes of the names in `unreadable`) that it is read from.
READ_FROM = {
    "verdict": ("recall_gate",),
    "models": ("evaluate",),
    "data": ("resolve_snapshot", "download_reviews", "parse_reviews", "encode_interactions"),
    "training": ("train_als",),
    "lineage": ("run", "configuration", "fit_popularity", "learn_prior", "refit/"),
    "tasks": ("tasks/",),
}


def unreadable(report: Report, section: str) -> list[str]:
    """What could not be read for a section, and why."""
    found = report.get("unreadable") or {}
    return [
        f"{name} could not be read. {why}"
        for name, why in sorted(found.items())
        if any(name == stage or (stage.endswith("/") and name.startswith(stage)) for stage in READ_FROM[section])
    ]


def headline(report: Report) -> dict[str, str]:
    """The outcome: `tone`, `word`, `line` (the verdict in a sentence, or empty), and `sentence` on what happens now.

    The tones: good, a result that was hoped for; warn, one that a person may want to look at; bad, an error; plain.
    """
    error, verdict, model = report.get("error"), report.get("verdict"), report.get("model")
    line = {"line": verdict_sentence(verdict) if verdict else ""}
    if error:
        left = f"{model['model_id']} is published, but no channel was moved." if model else "Nothing was published."
        word = _failure(error)
        sentence = f"The run stopped at {error['task']}. {left}"
        return {"tone": "bad" if word == "ERROR" else "warn", "word": word, "sentence": sentence} | line
    if report.get("unchanged"):
        sentence = f"Nothing changed since {report['unchanged']} was made, so nothing was trained or published."
        return {"tone": "plain", "word": "UNCHANGED", "sentence": sentence} | line
    if model:
        return _published(model, verdict) | line
    if not report.get("finished"):
        sentence = "The run has not ended. Nothing is published so far."
        return {"tone": "plain", "word": "RUNNING", "sentence": sentence} | line
    if verdict and verdict["decision"] != "PROMOTE":
        channel = (report.get("run") or {}).get("channel") or MAIN_CHANNEL
        sentence = f"Nothing was published, and {channel} stays where it was."
        return {"tone": "warn", "word": verdict["decision"], "sentence": sentence} | line
    sentence = "The run came to no verdict. Nothing was published."
    return {"tone": "plain", "word": "NO VERDICT", "sentence": sentence} | line


def _failure(error: Mapping[str, Any]) -> str:
    """A person's no, and a no of the gate against a champion that came meanwhile, are results and not errors."""
    if error["kind"] != "GateRejected":
        return "ERROR"
    if error["task"] != "approve":
        return "NOT PROMOTED"
    return "REJECTED BY A PERSON" if error["message"].startswith("Rejected") else "NOT APPROVED IN TIME"


def _published(model: Mapping[str, Any], verdict: Mapping[str, Any] | None) -> dict[str, str]:
    forced = verdict.get("forced") if verdict else None
    decision = verdict["decision"] if verdict else str(model.get("verdict", "PUBLISHED"))
    word = f"{decision}, FORCED" if forced else decision
    if model["promoted"]:
        sentence = f"The channel {model['channel']} now points to {model['model_id']}."
    elif model.get("why"):
        sentence = f"{model['model_id']} is published, and no channel was moved: {model['why']}."
    else:
        sentence = f"{model['model_id']} is published, and no channel was moved so far."
    return {"tone": "warn" if forced else "good", "word": word, "sentence": sentence}


def in_plain_words(report: Report) -> list[str]:
    """The comparison with popularity and with what is live, for somebody who has never heard of recall."""
    verdict = report.get("verdict")
    if not verdict:
        return []
    against, baseline, k = verdict["against_popularity"], title(verdict["baseline"]), verdict["top_k"]
    level = verdict["thresholds"]["confidence_level"] * 100
    return [
        f"Of the items that a user went on to review, the candidate had put {_percent(verdict['candidate_recall'])} "
        f"among its first {k} recommendations, on average over {verdict['n_users']:,} users. The strongest popularity "
        f"list ({baseline}) had {_percent(verdict['baseline_recall'])}.",
        f"The difference is {against['mean'] * 100:+.2f} percentage points; the {level:g} % interval reaches from "
        f"{against['low'] * 100:+.2f} to {against['high'] * 100:+.2f}.",
        *_against_live(report, verdict),
        *_against_best(verdict),
        *_breadth(report, verdict),
        "This was measured on past reviews, with factors that knew nothing after the cut. A model that is published is "
        "fitted again on everything before as_of, and whether people who see it buy more only an online test can tell.",
    ]


# What of the champion was judged. What it serves was fitted on more, the holdout among it; nothing could judge that.
JUDGED_CHAMPION = {
    "published": "The champion, live when this was judged, by the factors that its own gate had judged",
    "refitted": "The configuration of the champion, which has itself seen this holdout, fitted anew on this train part",
}


def _against_live(report: Report, verdict: Mapping[str, Any]) -> list[str]:
    versus = verdict["against_champion"]
    if versus is None:
        note = report.get("champion")
        return [f"It was not compared with a live model{': ' + note if note else ''}."]
    who = JUDGED_CHAMPION.get(str(report.get("champion_how")), JUDGED_CHAMPION["published"])
    return [
        f"{who}, had {_percent(verdict['champion_recall'])}. "
        f"Against it the candidate is {_difference(verdict, versus, verdict['champion_recall'])}."
    ]


def _against_best(verdict: Mapping[str, Any]) -> list[str]:
    """Where another version than the champion is the best recent one."""
    versus, recall = verdict["against_reference"], verdict["reference_recall"]
    if versus is None or verdict["reference"] == CHAMPION:
        return []
    return [
        f"Of the versions that were live lately, {reference_name(verdict)} is the best on this holdout, with "
        f"{_percent(recall)}, and the gate compares with that: losses that are tolerated one by one would add up. "
        f"Against it the candidate is {_difference(verdict, versus, recall, at_reference=True)}."
    ]


def _difference(
    verdict: Mapping[str, Any], versus: Mapping[str, float], recall: float, *, at_reference: bool = False
) -> str:
    """The word for a difference, the difference relative and in points, and its interval."""
    thresholds = verdict["thresholds"]
    level = verdict["reference_level"] if at_reference else thresholds["confidence_level"]
    word = "better" if versus["low"] > 0 else "worse" if versus["high"] < 0 else "not distinguishable from it"
    if verdict["n_users"] < thresholds["min_users"]:
        word = "not to be told apart by so few users"
    relative = f"{share(versus['mean'] / recall)} of its Recall, that is " if recall else ""
    return (
        f"{word}: {relative}{versus['mean'] * 100:+.2f} percentage points, {level * 100:.4g} % "
        f"from {versus['low'] * 100:+.2f} to {versus['high'] * 100:+.2f}"
    )


def _breadth(report: Report, verdict: Mapping[str, Any]) -> list[str]:
    """How much of the catalogue is shown to anybody; the gate does not decide on it."""
    judged = report.get("judged") or {}
    metric = f"coverage@{verdict['top_k']}"
    names = [CHAMPION, verdict["baseline"], WITHOUT_PRIOR]
    found = [f"{title(name)}: {_percent(judged[name]['means'][metric])}" for name in names if name in judged]
    if CANDIDATE not in judged or not found:
        return []
    own = _percent(judged[CANDIDATE]["means"][metric])
    return [
        f"It recommends {own} of the items in train to at least one of the {verdict['n_users']:,} judged users "
        f"({'; '.join(found)}). The gate does not decide on this."
    ]


def _percent(part: float) -> str:
    return f"{part:.2%}".replace("%", " %")


def funnel_steps(report: Report) -> list[tuple[str, int, str]]:
    """(step, count, what was left out to get there), from lines to the judged."""
    funnel, fold, steps = report.get("funnel"), report.get("fold"), []
    if funnel:
        steps += [
            ("lines", funnel["lines"], ""),
            ("usable reviews", funnel["reviews"], f"{funnel['bad']:,} unusable, {funnel['blank']:,} blank"),
        ]
    if fold:
        steps += [
            ("before as_of", fold["reviews"] - fold["after_as_of"], f"{fold['after_as_of']:,} at or after as_of"),
            ("interactions", fold["interactions"], f"{fold['repeated']:,} repeat a user and item"),
            ("train", fold["train"], _left_of_train(fold)),
            ("holdout", fold["holdout"], "the newest, from the cut on"),
            ("judged", fold["judged_interactions"], f"{fold['holdout_of_cold_users']:,} of cold users"),
        ]
    return steps


def compared(report: Report) -> list[dict[str, Any]]:
    """What the snapshot checks compared: rows of what, before, now, allowed, passed; none for a first snapshot."""
    rows = (
        (task.get("facts") or {}).get("compared")
        for task in report.get("tasks") or []
        if task["task"] == "check_snapshot"
    )
    return next(filter(None, rows), [])


def unjoined(report: Report) -> str | None:
    """A warning where the snapshot mixes generations of user ids."""
    funnel = report.get("funnel")
    return mixed_ids(funnel) if funnel and "users_by_layout" in funnel else None


def _left_of_train(fold: Mapping[str, Any]) -> str:
    dropped = fold["train_dropped_rare"]
    return "all before the cut" if not dropped else f"before the cut; {dropped:,} of rare users or items"


def shares(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """(name, count, share), the most frequent first."""
    total = max(1, sum(counts.values()))
    return [(name, n, n / total) for name, n in sorted(counts.items(), key=lambda row: (-row[1], row[0]))]


def by_history(report: Report) -> list[dict[str, Any]]:
    """Candidate and baseline a bracket of history length: label, users, candidate, baseline."""
    judged, baseline = report.get("judged") or {}, baseline_of(report)
    if CANDIDATE not in judged or baseline is None:
        return []
    theirs = {row["from"]: row["recall"] for row in judged[baseline]["by_history"]}
    return [
        {
            "label": _bracket(int(row["from"])),
            "users": int(row["users"]),
            "candidate": row["recall"],
            "baseline": theirs.get(row["from"], 0.0),
        }
        for row in judged[CANDIDATE]["by_history"]
    ]


def baseline_of(report: Report) -> str | None:
    """The strongest popularity: as the verdict names it, else the best of those judged."""
    verdict, judged = report.get("verdict"), report.get("judged") or {}
    if verdict and verdict["baseline"] in judged:
        return str(verdict["baseline"])
    recall = f"recall@{report['top_k']}"
    means = {name: row["means"][recall] for name, row in judged.items() if name.startswith(POPULARITY)}
    return strongest_popularity(means) if means else None


def _bracket(start: int) -> str:
    ends = dict(pairwise(HISTORY_EDGES))
    if start not in ends:
        return f"{start}+"
    last = ends[start] - 1
    return str(start) if last == start else f"{start} to {last}"


def without_prior_missing(report: Report) -> str | None:
    """Why there is no row of the candidate without its prior, where there is none although the run was judged."""
    judged, prior = report.get("judged"), report.get("prior")
    if not judged or WITHOUT_PRIOR in judged or not prior:
        return None
    if prior["power"] == 0:
        return f"its power is 0 ({prior['why']}), so the candidate itself is without a prior"
    return "all items have the same prior, so it changes no ranking"


def sections(report: Report) -> dict[str, str]:
    """Id -> title of the sections that have something to say: what was found, or why it could not be read."""
    shown = {"verdict": "Verdict"}
    if not report.get("unchanged"):
        judged = bool(report.get("judged")) or bool(unreadable(report, "models"))
        shown |= {"models": "Models"} if judged else {}
        data = any(report.get(part) for part in ("snapshot", "funnel", "fold")) or bool(unreadable(report, "data"))
        shown |= {"data": "Data"} if data else {}
        shown |= {"training": "Training"} if report.get("training") or unreadable(report, "training") else {}
        shown |= {"history": "History length"} if by_history(report) else {}
        sliced = any("slices" in row for row in (report.get("judged") or {}).values())
        shown |= {"served": "Who is served"} if sliced or report.get("prior") else {}
        shown |= {"beyond": "Beyond accuracy"} if report.get("judged") else {}
    return shown | {"lineage": "Lineage", "tasks": "Tasks"}


NOT_REACHED = {"data": "parsing reviews", "training": "training", "models": "judging"}


def not_reached(report: Report) -> str:
    """What the run did not come to, in a sentence; empty where it came to all."""
    if report.get("unchanged"):
        return ""
    missing = [told for section, told in NOT_REACHED.items() if section not in sections(report)]
    return f"The run did not come to {', '.join(missing)}." if missing else ""


def lineage(report: Report) -> list[tuple[str, str]]:
    """(name, value) of what is known of where the run comes from."""
    run = report.get("run") or {}
    fold, snapshot, model = (report.get(name) or {} for name in ("fold", "snapshot", "model"))
    rows = [
        ("As of", instant(run["as_of"]) if run else None),
        ("Cut", instant(fold["cut_s"]) if fold else None),
        ("Snapshot", _snapshot(run, snapshot)),
        ("Model", model.get("model_id")),
        ("Tuned configuration", _tuned(run)),
        ("Published factors", _refitted(report.get("refitted"))),
    ]
    return [(name, value) for name, value in rows if value]


def _snapshot(run: Mapping[str, Any], snapshot: Mapping[str, Any]) -> str | None:
    date = snapshot.get("snapshot")
    return f"{date} (the newest on or before the run's date)" if date and run and not run["snapshot"] else date


def _tuned(run: Mapping[str, Any]) -> str | None:
    if run.get("tuned_values"):
        values = ", ".join(f"{name} {number(value)}" for name, value in sorted(run["tuned_values"].items()))
        return f"{run['tuned']}: {values}"
    asked = (run.get("params") or {}).get("tuned")
    return f"{asked} was asked for, and nothing of it was used: the log of the first task says why" if asked else None


def _refitted(refitted: Mapping[str, Any] | None) -> str | None:
    if not refitted:
        return None
    train, users, items = (f"{refitted[name]:,}" for name in ("train", "train_users", "train_items"))
    return f"fitted on {train} interactions of {users} users and {items} items"


def changed(report: Report) -> list[str]:
    """Parameters that have not their defaults."""
    return [row["param"] for row in report.get("configuration") or [] if row["value"] != row["default"]]


def tone(task: Mapping[str, Any], report: Report) -> str:
    """The colour of a task's state: red is kept for errors."""
    tones = {"success": "good", "not promoted": "warn", "failed": "bad", "killed": "bad"}
    return tones.get(state(task, report), "plain")


def state(task: Mapping[str, Any], report: Report) -> str:
    """A task's state in a word; the gate's refusal is not called a failure."""
    error = task.get("error")
    if error and error["kind"] == "GateRejected":
        return "not promoted"
    return "killed" if task["state"] == "running" and report.get("finished") else str(task["state"])
