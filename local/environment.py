"""Which of a person's environment reaches the stand-ins: a list of names, since nobody can list what must not."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from deploy.stack import SETTINGS
from include.recommender.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[1]
MARK = "RECOMMENDER_LOCAL_OWNER"
PREFIX = "RECOMMENDER_"
OURS = frozenset({"RECOMMENDER_ROOT", "RECOMMENDER_SNAPSHOTS", "RECOMMENDER_CACHE"})  # what the stack sets itself
KEPT = {
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLUMNS", "NO_COLOR", "TZ", "LANG", "LANGUAGE"),
    *("TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH"),
    *("OMP_NUM_THREADS", "PYTHONUNBUFFERED", "S3_LOG_LEVEL"),
    *("REVIEWS", "CONF", "SNAPSHOT"),  # what `make` passes on
}
# Everything that the stand-ins talk to is on loopback, with credentials of this home.
ALWAYS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "*",
    "no_proxy": "*",
    "PYTHONPATH": str(PROJECT),
    "PYTHONUTF8": "1",
}
# For a shell: these families would otherwise meet `airflow ...` and the registry's commands.
FAMILIES = ("AWS_*", "AIRFLOW_*", "PG*", "*_PROXY", "*_proxy", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment reaches the stand-ins, and what they always get."""
    kept = {name: value for name, value in environment.items() if name in KEPT or name.startswith(("LC_", PREFIX))}
    kept.pop(MARK, None)
    return kept | ALWAYS


def isolate() -> None:
    """Reduce this process's own environment, before boto3 or Airflow read it; its files are for its user only."""
    os.umask(0o077)
    reduced = isolated(os.environ)
    os.environ.clear()
    os.environ.update(reduced)


def settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The project's settings that the operator gave."""
    return {name: value for name, value in environment.items() if name.startswith(PREFIX) and name != MARK}


def check_settings(environment: Mapping[str, str] = os.environ) -> None:
    """Raise ConfigError where a setting is given that nothing reads: it is most often misspelt."""
    unknown = sorted(settings(environment).keys() - {*SETTINGS})
    if unknown:
        raise ConfigError("\n".join(_unknown(name) for name in unknown))


def unused(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A line for each setting that is given and that the laptop's stack sets itself."""
    return [
        f"{name} of your environment is not used here: this works on .local. The command line of your bucket is "
        "python -m include.recommender.console"
        for name in sorted(OURS)
        if environment.get(name)
    ]


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the settings are {', '.join(sorted(SETTINGS))}"
    return f"{name}: there is no such setting; {hint}"
