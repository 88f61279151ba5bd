"""The bodies of the tasks of `recommender_tune`."""

from __future__ import annotations

from include.recommender.data.counts import SnapshotCounts
from include.recommender.parameters.of_search import ROUNDS
from include.recommender.storage.documents import plain
from include.recommender.tuning import confirmation, steps
from include.recommender.tuning.records import Evidence, Plan, SearchOutcome, TrialRequest, TrialResult
from include.recommender.tuning.search_report import write_report as write_tune_report
from include.recommender.tuning.space import applied, differing
from include.recommender.tuning.study import ask
from include.recommender.tuning.tuned import write_tuned

from .run import Run, XCom, task_output
from .running import run_task


def plan() -> XCom:
    """Plan the searched parameters and the folds."""

    def body(run: Run) -> XCom:
        planned = plain(
            steps.plan(
                run.workspace,
                run.artifact("parse_reviews"),
                run.as_of,
                run.search.search,
                base=run.config,
                config=run.search,
            )
        )
        run.note(plan=planned)
        return dict(planned)

    return dict(run_task(body))


def ask_next(number: int) -> list[XCom]:
    """Return the configurations of a round; none if enough were tried."""

    def body(run: Run) -> list[XCom]:
        config, results = run.search, _results(run, number - 1)
        first = (number - 1) * config.trials_per_round
        n = min(config.trials_per_round, config.trials - first)
        configurations = ask(results, run.output("plan", Plan).defaults, n, config) if n > 0 else []
        run.note(n_trials=len(configurations))
        return [plain(TrialRequest(first + at, values)) for at, values in enumerate(configurations)]

    return list(run_task(body))


def try_one(number: int, trial: XCom) -> XCom:
    """Judge one configuration of a round on the splits, one after the other."""

    def body(run: Run) -> XCom:
        result = plain(
            steps.run_trial(
                run.workspace,
                run.output("plan", Plan),
                task_output(trial, TrialRequest, f"ask_{number}"),
                _results(run, number - 1),
                base=run.config,
                config=run.search,
            )
        )
        run.note(result=result)
        return dict(result)

    return dict(run_task(body))


def choose() -> XCom:
    """Compare the best with the defaults, confirmed on a split that the search did not use."""

    def body(run: Run) -> XCom:
        planned, results = run.output("plan", Plan), _results(run, ROUNDS)
        choice = plain(confirmation.choose(run.workspace, planned, results, base=run.config, search=run.search))
        run.note(choice=choice)
        return dict(choice)

    return dict(run_task(body))


def write_config() -> str:
    """Write the winner as `tuned/<id>.json`; return the id."""

    def body(run: Run) -> str:
        choice = run.output("choose", SearchOutcome)
        # All values of the winner, also those that the run set and did not search.
        judged_with = applied(run.config, choice.values) if choice.number else run.config
        evidence = Evidence(
            choice=choice,
            plan=run.output("plan", Plan),
            top_k=run.config.evaluate.top_k,
            snapshot=run.artifact("resolve_snapshot").counted(SnapshotCounts).snapshot,
            parsed=run.artifact("parse_reviews").uri,
            run=run.facts.run_id,
        )
        name = write_tuned(run.workspace.root, run.as_of, differing(judged_with), evidence, better=choice.better)
        run.note(tuned=name, better=choice.better)
        return name

    return str(run_task(body))


def write_report() -> str:
    """Write the report of the search, as far as it ran."""
    return str(run_task(lambda run: write_tune_report(run.workspace, run.facts.folder_id), despite_problems=True))


def _results(run: Run, rounds: int) -> list[TrialResult]:
    """The results of the first rounds; a round that was skipped has none."""
    rows = run.outputs.pull_all([f"try_{number}" for number in range(1, rounds + 1)])
    results = [task_output(row, TrialResult, "try") for row in rows if row]
    return sorted(results, key=lambda row: row.number)
