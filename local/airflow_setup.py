"""Airflow's tables, and a pool where there is none of that name: slots that somebody changed in the UI stay."""

from __future__ import annotations

import sys

from deploy.stack import POOL_ABOUT, POOL_SLOTS


def main(pool: str) -> None:
    """Needs the environment of Airflow."""
    from airflow.models.pool import Pool
    from airflow.utils.db import upgradedb

    upgradedb()
    if Pool.get_pool(pool) is None:
        Pool.create_or_update_pool(pool, slots=POOL_SLOTS, description=POOL_ABOUT, include_deferred=False)


if __name__ == "__main__":
    main(sys.argv[1])
