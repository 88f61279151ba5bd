"""How a version was judged: its models, and the gate's thresholds."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ..errors import ConfigError
from ..registry.bundle import Manifest
from ..registry.locate import manifest_of
from ..registry.registry import Registry
from ..registry.verdict import Interval, Verdict
from ..reporting.checks import checks
from ..reporting.tables import COLUMNS
from .dtypes import COUNT, DECISION, FLAG, NUMBER, TEXT, frame

METRICS = (*COLUMNS, "novelty", "popularity_bias")
EVALUATION = {
    "model": TEXT,
    "k": COUNT,
    **dict.fromkeys(METRICS, NUMBER),
    "difference": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "relative": NUMBER,
    "is_baseline": FLAG,
    "is_reference": FLAG,
    "model_id": TEXT,
}
VERDICT = {"check": TEXT, "unit": TEXT, "found": TEXT, "required": TEXT, "passed": FLAG, "decision": DECISION}


def evaluation(registry: Registry, model: str, k: int | None = None) -> pd.DataFrame:
    """The gate's table: every model that was judged on the holdout of a version's run, the best first.

    Parameters
    ----------
    model : a version's id, or a channel; also of a version that was retired
    k : length of the lists; None: that of the gate

    Returns
    -------
    One row a model:

    - model : str, such as candidate, without_prior, plain_als, item_knn, popularity_30d, champion
    - k : Int64
    - recall, ndcg, map, mrr, hit_rate : float64, means over the judged users at k; recall is hits in the top k / all
      held-out items of the user
    - coverage : float64, share of all items that is recommended to anybody
    - novelty : float64, mean self-information of the recommended items, in bits
    - popularity_bias : float64, mean train count of the recommended items over that of all interactions
    - difference, low, high : float64, recall of the candidate minus that of the model, and its paired bootstrap
      interval; missing for the candidate, and at another k than the gate's
    - relative : float64, difference / recall of the model
    - is_baseline, is_reference : boolean, the strongest popularity; the best recent version
    - model_id : str, of the version itself, or of the version of the channel that it was compared with

    Raises
    ------
    ConfigError
        The version was not judged at k.
    NotFound, DataError
        There is no such version, or its manifest is damaged.

    Examples
    --------
    >>> evaluation(registry, "production").set_index("model")[["recall", "coverage"]]
    """
    manifest = manifest_of(registry, model)
    k = _judged_at(manifest, k)
    made = frame((_model(manifest, name, k) for name in manifest.metrics), EVALUATION)
    return made.sort_values(["recall", "model"], ascending=[False, True], ignore_index=True)


def _judged_at(manifest: Manifest, k: int | None) -> int:
    ks = sorted({int(name.rpartition("@")[2]) for name in manifest.metrics["candidate"]})
    k = manifest.verdict.top_k if k is None else k
    if k not in ks:
        raise ConfigError(f"k={k}: {manifest.model_id} was judged at k = {', '.join(map(str, ks))}")
    return k


def _model(manifest: Manifest, name: str, k: int) -> dict[str, object]:
    verdict, means = manifest.verdict, manifest.metrics[name]
    ids = {"candidate": manifest.model_id, **verdict.version_ids}
    return {
        "model": name,
        "k": k,
        **{metric: means.get(f"{metric}@{k}") for metric in METRICS},
        **_against(verdict.intervals.get(name) if k == verdict.top_k else None, means.get(f"recall@{k}")),
        "is_baseline": name == verdict.baseline,
        "is_reference": name == verdict.reference,
        "model_id": ids.get(name),
    }


def _against(interval: Interval | None, recall: float | None) -> dict[str, float | None]:
    if interval is None:
        return {}
    relative = interval.mean / recall if recall else None
    return {"difference": interval.mean, "low": interval.low, "high": interval.high, "relative": relative}


def verdict(registry: Registry, model: str) -> pd.DataFrame:
    """The thresholds of the gate for a version, in the order in which the gate looks at them.

    Parameters
    ----------
    model : a version's id, or a channel; also of a version that was retired

    Returns
    -------
    One row a threshold:

    - check, unit, found, required : str; what was compared, in which unit, what was found, what was required
    - passed : boolean; missing where there was nothing to compare, or where the line distinguishes HOLD from REJECT
    - decision : category PROMOTE, HOLD, REJECT: the verdict, the same in each row

    Raises
    ------
    NotFound, DataError
        There is no such version, or its manifest is damaged.

    Examples
    --------
    >>> verdict(registry, "production")[["check", "found", "required", "passed"]]
    """
    return frame(_thresholds(manifest_of(registry, model).verdict), VERDICT)


def _thresholds(found: Verdict) -> Iterator[dict[str, object]]:
    for row in checks(found):
        yield {
            "check": row.name,
            "unit": row.unit,
            "found": row.found,
            "required": row.required,
            "passed": row.passed,
            "decision": found.decision,
        }
