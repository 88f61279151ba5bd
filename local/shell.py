"""`.local/env.sh`: what a shell needs for `airflow ...` and the registry's commands against what ran last."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.stack import Store
from include.recommender.errors import ConfigError

from .environment import ALWAYS, FAMILIES, settings
from .home import Home

# What a person's own environment holds of these would otherwise meet the stack's.
FORGET = f"""# Names alone: a value may have lines that look like one.
for _name in $(env | sed 's/=.*//'); do
  case $_name in
    *[!A-Za-z0-9_]*) ;;
    {"|".join(FAMILIES)}) unset "$_name" ;;
  esac
done
unset _name
"""
FIRST = "\nexport "


def write(home: Home, store: Store, environment: Mapping[str, str]) -> Path:
    """Write the file anew, readable by its owner only: it holds the keys of this Airflow.

    Parameters
    ----------
    environment : of Airflow's parts
    """
    whole = settings() | dict(environment) | store.boto3() | ALWAYS
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(whole.items())]
    lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
    path = home.path / "env.sh"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(FORGET + "\n".join(lines) + "\n")
    return path


def read(home: Home) -> dict[str, str]:
    """What the file gives a shell, but for PATH. Raises ConfigError where there is none yet."""
    try:
        text = (home.path / "env.sh").read_text()
    except FileNotFoundError:
        raise ConfigError(f"{home.path} holds nothing yet: `make run` or `make up` comes first") from None
    words = shlex.split(FIRST + text.partition(FIRST)[2])
    pairs = (word.split("=", 1) for word in words if word != "export")
    return {name: value for name, value in pairs if name != "PATH"}
