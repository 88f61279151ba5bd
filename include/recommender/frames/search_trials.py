"""The trials of a search for a configuration."""

from __future__ import annotations

import pandas as pd

from ..errors import DataError
from ..parameters.definition import OneOf
from ..parameters.of_search import SPACE
from ..registry.registry import Registry
from ..runs.dag_names import TUNE_DAG
from ..runs.journal import Journal, folder_id
from ..tuning.records import TrialResult, TuneReport
from ..tuning.search_report import read_report
from ..tuning.tuned import read_tuned
from .dtypes import COUNT, FLAG, NUMBER, TEXT, Columns, Dtype, frame

TRIALS: Columns = {
    "number": COUNT,
    "objective": NUMBER,
    "coverage": NUMBER,
    "pruned": FLAG,
    "chosen": FLAG,
    "seconds": NUMBER,
}


def trials(registry: Registry, tuned_id: str) -> pd.DataFrame:
    """All trials of the search that found a tuned configuration, in the order in which they were tried.

    Parameters
    ----------
    tuned_id : such as 20180901-0123456789ab; the parameter `tuned` of a retraining takes the same ids

    Returns
    -------
    One row a trial; trial 0 has the values that the run was started with:

    - number : Int64
    - objective : float64, Recall@K, mean over all judged users of the cuts that the trial came to
    - coverage, seconds : float64
    - pruned, chosen : boolean; stopped early, and the one that the search chose
    - split_1, split_2, ... : float64, Recall@K of each split, the newest first; missing after the trial was pruned
    - a column for each searched parameter, with the parameter's name; float64, or str where it has no order

    Raises
    ------
    NotFound
        There is no such configuration, or the report of its search is gone.
    DataError
        The configuration or the report is damaged, or the report is that of another search.

    Examples
    --------
    >>> trials(registry, "20180901-0123456789ab").plot.scatter(x="alpha", y="objective")
    """
    tuned = read_tuned(registry.objects, tuned_id)
    key = f"{Journal(registry.objects, folder_id(TUNE_DAG, tuned.evidence.run)).folder}/tuning.json"
    report = read_report(registry.objects.read(key), registry.objects.uri(key))
    if report.tuned != tuned_id:
        raise DataError(f"{registry.objects.uri(key)}: is the report of a search that found {report.tuned}")
    n_splits, names = len(tuned.evidence.plan.folds), tuned.evidence.plan.names
    splits = {f"split_{at + 1}": NUMBER for at in range(n_splits)}
    columns = {**TRIALS, **splits, **{name: _dtype(name) for name in names}}
    return frame((_trial(row, report) for row in report.results), columns)


def _dtype(name: str) -> Dtype:
    return TEXT if isinstance(SPACE.get(name), OneOf) else NUMBER


def _trial(row: TrialResult, report: TuneReport) -> dict[str, object]:
    return {
        "number": row.number,
        "objective": row.objective,
        "coverage": row.coverage,
        "pruned": row.pruned,
        "chosen": report.choice is not None and report.choice.number == row.number,
        "seconds": row.seconds,
        **{f"split_{at + 1}": recall for at, recall in enumerate(row.recalls)},
        **row.values,
    }
