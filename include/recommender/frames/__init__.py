"""The registry as pandas DataFrames, for notebooks and scripts.

    from include.recommender.frames import connect, versions

    registry = connect("s3://bucket/prefix")
    versions(registry)

Nothing here writes. A `model` is a version's id, or the name of a channel: the version that it points to. The columns
and dtypes of a table are the same for any number of rows, also for none.
"""

from .data_steps import data_funnel
from .groups import slices
from .judged import evaluation, verdict
from .overview import compare, versions
from .recommended import interactions, recommendations
from .root import connect
from .search_trials import trials
from .timeline import history, trend

__all__ = [
    "compare",
    "connect",
    "data_funnel",
    "evaluation",
    "history",
    "interactions",
    "recommendations",
    "slices",
    "trend",
    "trials",
    "verdict",
    "versions",
]
