"""The dtypes of columns, and rows as a DataFrame that has them however many rows there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import pandas as pd
from pandas.api.extensions import ExtensionDtype

from ..registry.moves import Kind, instant
from ..storage.documents import Decision

Dtype = str | ExtensionDtype
Columns = Mapping[str, Dtype]

TEXT: Dtype = "str"
TIME: Dtype = "datetime64[us, UTC]"
COUNT: Dtype = "Int64"
NUMBER: Dtype = "float64"
FLAG: Dtype = "boolean"
ANY: Dtype = "object"
DECISION = pd.CategoricalDtype(list(get_args(Decision)))
KIND = pd.CategoricalDtype(list(get_args(Kind)))


def frame(rows: Iterable[Mapping[str, Any]], columns: Columns) -> pd.DataFrame:
    """Rows as a DataFrame with exactly these columns; what a row lacks is missing."""
    listed = list(rows)
    made = {name: pd.Series([row.get(name) for row in listed], dtype=dtype) for name, dtype in columns.items()}
    return pd.DataFrame(made)


def when(value: str | int | None) -> datetime | None:
    """An instant in ISO 8601, or in seconds since 1970 UTC, as a datetime with its zone."""
    if value is None:
        return None
    return instant(value) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)
