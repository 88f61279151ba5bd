"""The bodies of the tasks of `recommender_tune`."""

from __future__ import annotations

from typing import Any

from include.recommender.parameters.of_search import ROUNDS
from include.recommender.tuning import steps
from include.recommender.tuning.report import write_report as write_tune_report
from include.recommender.tuning.space import applied, differing
from include.recommender.tuning.study import Result, ask
from include.recommender.tuning.tuned import write_tuned

from .run import Run, run_task


def plan() -> dict[str, Any]:
    """What is searched, and the folds on which trials are judged."""

    def body(run: Run) -> dict[str, Any]:
        parsed, search = run.made("parse_reviews"), run.search
        planned = steps.plan(run.workspace, parsed, run.as_of, search.search, run.config, search).as_dict()
        run.note(plan=planned)
        return planned

    return dict(run_task(body))


def ask_next(number: int) -> list[dict[str, Any]]:
    """The configurations of a round; none when enough were tried."""

    def body(run: Run) -> list[dict[str, Any]]:
        config, results = run.search, _results(run, number - 1)
        first = (number - 1) * config.trials_per_round
        n = min(config.trials_per_round, config.trials - first)
        asked = ask(results, run.of("plan")["defaults"], n, config) if n > 0 else []
        run.note(asked=len(asked))
        return [{"number": first + at, "values": values} for at, values in enumerate(asked)]

    return list(run_task(body))


def try_one(number: int, asked: dict[str, Any]) -> dict[str, Any]:
    """One configuration of a round, judged at one cut after the other."""

    def body(run: Run) -> dict[str, Any]:
        result = steps.run_trial(
            run.workspace,
            steps.Plan(**run.of("plan")),
            asked["number"],
            asked["values"],
            _results(run, number - 1),
            run.config,
            run.search,
        ).as_dict()
        run.note(result=result)
        return result

    return dict(run_task(body))


def choose() -> dict[str, Any]:
    """The best against the defaults, confirmed on a cut that the search never looked at."""

    def body(run: Run) -> dict[str, Any]:
        planned, results = steps.Plan(**run.of("plan")), _results(run, ROUNDS)
        choice = steps.choose(run.workspace, planned, results, run.config, run.search).as_dict()
        run.note(choice=choice)
        return choice

    return dict(run_task(body))


def write_config() -> str:
    """The winner as `tuned/<id>.json`; returns the id."""

    def body(run: Run) -> str:
        planned, choice = run.of("plan"), run.of("choose")
        # All that the winner was judged with: also what the run had set and did not search.
        judged_with = applied(run.config, choice["values"]) if choice["number"] else run.config
        evidence = {
            "values": differing(judged_with),
            "better": choice["better"],
            "choice": choice,
            "plan": planned,
            "cut_s": planned["cut_s"],
            "top_k": run.config.evaluate.top_k,
            "snapshot": run.made("resolve_snapshot").counts["snapshot"],
            "parsed": run.of("parse_reviews")["uri"],
            "run": run.facts.run_id,
        }
        name = write_tuned(run.workspace.root, run.as_of, evidence)
        run.note(tuned=name, better=choice["better"])
        return name

    return str(run_task(body))


def write_report() -> str:
    """The report of the search, up to where it came."""
    return str(run_task(lambda run: write_tune_report(run.workspace, run.facts.folder_id), despite_problems=True))


def _results(run: Run, rounds: int) -> list[Result]:
    """The results of the first rounds; a round that was skipped has none."""
    rows = run.ti.xcom_pull(task_ids=[f"try_{number}" for number in range(1, rounds + 1)]) if rounds else []
    return sorted((Result(**row) for row in rows if row), key=lambda row: row.number)
