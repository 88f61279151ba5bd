"""Makes a pool of Airflow where there is none of that name, so that slots which somebody changed in the UI stay."""

from __future__ import annotations

import sys

DESCRIPTION = "One training at a time takes the machine's memory"


def main(name: str, slots: int) -> None:
    """Needs the environment of Airflow."""
    from airflow.models.pool import Pool

    if Pool.get_pool(name) is None:
        Pool.create_or_update_pool(name, slots=slots, description=DESCRIPTION, include_deferred=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
