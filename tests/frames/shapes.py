"""What a table promises: its columns and their dtypes."""

import pandas as pd

from include.recommender.frames.dtypes import frame


def shape(table):
    """Column -> dtype, in order."""
    return list(table.dtypes.items())


def promised(columns):
    """The same of a table without rows."""
    return shape(frame([], columns))


def row(table, **where):
    """The one row whose columns have these values."""
    mask = pd.Series(True, index=table.index)
    for name, value in where.items():
        mask &= table[name] == value
    found = table[mask]
    assert len(found) == 1, table
    return found.iloc[0]
