"""The login of the Docker stack: `python -m deploy.login` makes the user admin with the password of `.env`.

It runs in the service `init`, after the database was migrated. A changed password replaces the old one and ends the
user's sessions; other users and their roles are left alone. The roles are those of Airflow's FAB auth manager.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from deploy.stack import USER
from include.recommender.errors import ConfigError, RecommenderError

ADMIN_PASSWORD = "AIRFLOW_ADMIN_PASSWORD"  # noqa: S105 the name of a variable
ROLE = "Admin"
LEAST_CHARS = 12


def password_of(environment: Mapping[str, str]) -> str:
    """The password of the admin. Raises ConfigError where it is missing or short."""
    password = environment.get(ADMIN_PASSWORD, "")
    if len(password) < LEAST_CHARS:
        raise ConfigError(
            f"{ADMIN_PASSWORD} has {len(password)} characters in the service init, expected at least {LEAST_CHARS}. "
            "Take the output of python3 -c 'import secrets; print(secrets.token_hex(12))'"
        )
    return password


def ensure_admin(users: Any, password: str) -> str:
    """Make the admin, or give the existing one this password; return what was done.

    users : FAB's security manager, in the context of its application

    Raises
    ------
    ConfigError
        The database refuses the user; FAB's log says why.
    """
    from werkzeug.security import check_password_hash

    user = users.find_user(username=USER)
    if user is None:
        role = users.find_role(ROLE)
        done = role and users.add_user(USER, "Admin", "of this stack", f"{USER}@localhost", role, password)
        action = "made"
    elif check_password_hash(user.password, password):
        done, action = True, "kept"
    else:
        done, action = users.reset_password(user.id, password), "has a new password"
    if not done:
        raise ConfigError(f"FAB did not accept the user {USER} with the role {ROLE}: docker compose logs init")
    return action


def main() -> int:
    """Command line. Returns the exit status."""
    try:
        password = password_of(os.environ)
        from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

        with get_application_builder() as application:
            action = ensure_admin(application.sm, password)
    except RecommenderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"login: user {USER} {action}; password: {ADMIN_PASSWORD} in .env")
    return 0


if __name__ == "__main__":
    sys.exit(main())
