"""The bodies of the tasks of `recommender_tune`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from include.recommender.config import TuneConfig
from include.recommender.tuning import steps
from include.recommender.tuning.report import write_report as write_tune_report
from include.recommender.tuning.space import applied, differing
from include.recommender.tuning.study import Result, ask
from include.recommender.tuning.tuned import write_tuned

from .run import Handle, Run, run_task


def plan(parsed: Handle) -> dict[str, Any]:
    """What is searched, and the folds on which trials are judged."""

    def body(run: Run) -> dict[str, Any]:
        search, config = run.facts.params.get("search"), _search(run)
        planned = steps.plan(run.workspace, run.open(parsed), run.as_of, search, run.config, config).as_dict()
        run.note(plan=planned)
        return planned

    return dict(run_task(body))


def ask_next(planned: dict[str, Any], earlier: list[Any], number: int) -> list[dict[str, Any]]:
    """The configurations of a round; none when enough were tried."""

    def body(run: Run) -> list[dict[str, Any]]:
        config, results = _search(run), _results(earlier)
        first = (number - 1) * config.trials_per_round
        n = min(config.trials_per_round, config.trials - first)
        asked = ask(results, planned["defaults"], n, config) if n > 0 else []
        run.note(asked=len(asked))
        return [{"number": first + at, "values": values} for at, values in enumerate(asked)]

    return list(run_task(body))


def try_one(planned: dict[str, Any], earlier: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
    """One configuration, judged at one cut after the other."""

    def body(run: Run) -> dict[str, Any]:
        result = steps.run_trial(
            run.workspace,
            steps.Plan(**planned),
            asked["number"],
            asked["values"],
            _results(earlier),
            run.config,
            _search(run),
        ).as_dict()
        run.note(result=result)
        return result

    return dict(run_task(body))


def choose(planned: dict[str, Any], tried: list[Any]) -> dict[str, Any]:
    """The best against the defaults, confirmed on a cut that the search never looked at."""

    def body(run: Run) -> dict[str, Any]:
        choice = steps.choose(run.workspace, steps.Plan(**planned), _results(tried), run.config, _search(run)).as_dict()
        run.note(choice=choice)
        return choice

    return dict(run_task(body))


def write_config(resolved: Handle, parsed: Handle, planned: dict[str, Any], choice: dict[str, Any]) -> str:
    """The winner as `tuned/<id>.json`; returns the id."""

    def body(run: Run) -> str:
        # All that the winner was judged with: also what the run had set and did not search.
        judged_with = applied(run.config, choice["values"]) if choice["number"] else run.config
        evidence = {
            "values": differing(judged_with),
            "better": choice["better"],
            "choice": choice,
            "plan": planned,
            "cut_s": planned["cut_s"],
            "top_k": run.config.evaluate.top_k,
            "snapshot": run.open(resolved).counts["snapshot"],
            "parsed": parsed["uri"],
            "run": run.facts.run_id,
        }
        name = write_tuned(run.workspace.root, run.as_of, evidence)
        run.note(tuned=name, better=choice["better"])
        return name

    return str(run_task(body))


def write_report() -> str:
    """The report of the search, up to where it came."""
    return str(run_task(lambda run: write_tune_report(run.workspace, run.facts.folder_id), despite_problems=True))


def _search(run: Run) -> TuneConfig:
    return TuneConfig.from_params(run.facts.params)


def _results(tried: Iterable[Any] | None) -> list[Result]:
    """The results of some rounds: of each what its mapped tasks returned, or nothing where it was skipped."""
    rounds = [list(each) for each in tried or [] if each is not None]
    return sorted((Result(**row) for each in rounds for row in each if row), key=lambda row: row.number)
