"""Terraform's provider for AWS from a mirror on this disk: `python -m deploy.aws_provider` prints a CLI configuration.

Terraform looks into a few folders by itself. A machine without a network may have a mirror elsewhere; this finds one in
the places where software is put. It prints nothing, with status 1, where Terraform is configured or there is no mirror.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

PROVIDER = "registry.terraform.io/hashicorp/aws"
PLACES = (Path("/opt"), Path("/usr/share"), Path("/usr/local/share"), Path("/var/lib"))
CONFIGURATION = """\
provider_installation {{
  filesystem_mirror {{
    path    = "{mirror}"
    include = ["{provider}"]
  }}
  direct {{
    exclude = ["{provider}"]
  }}
}}
"""


def configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether Terraform has a CLI configuration of somebody's, which is then not touched."""
    usual = Path(environment.get("HOME") or "/nonexistent") / ".terraformrc"
    return Path(environment.get("TF_CLI_CONFIG_FILE") or usual).is_file()


def mirror(places: Iterable[Path] = PLACES) -> Path | None:
    """The first folder that holds the provider: one of the places, or a folder right in one."""
    candidates = (folder for place in places for folder in (place, *sorted(place.glob("*"))))
    return next((folder for folder in candidates if (folder / PROVIDER).is_dir()), None)


def cli_configuration(places: Iterable[Path] = PLACES) -> str | None:
    """A CLI configuration that takes the provider from a mirror; None without one."""
    found = mirror(places)
    return None if found is None else CONFIGURATION.format(mirror=found, provider=PROVIDER)


if __name__ == "__main__":
    text = None if configured() else cli_configuration()
    sys.stdout.write(text or "")
    sys.exit(0 if text else 1)
