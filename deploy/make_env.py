"""Write the secrets of the Docker stack: `python3 -m deploy.make_env` makes `.env` once, readable by its owner only.

An existing file is changed by `--renew NAME` and `--forget-old` alone: the database and the object store already hold
what it says (docs/recovery.md).
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from .stack import API_PORT, FERNET_BYTES, OF_CONTAINERS, SETTINGS, SIGNING_BYTES, UI_PORT

TOKEN_BYTES = 32
ROOT = Path(__file__).resolve().parents[1]
FERNET = "AIRFLOW_FERNET_KEY"

HEADER = f"""\
# Secrets of docker-compose.yaml, made by deploy.make_env. Keep this file out of git and out of images.
# Ports on this machine, if the defaults are taken: AIRFLOW_PORT={UI_PORT}, API_PORT={API_PORT}, OBJECT_STORE_PORT=9000
# Memory of the container that trains, and of the online API: SCHEDULER_MEMORY=8g, API_MEMORY=1g
# No samples in an empty bucket: RECOMMENDER_SAMPLES=0. On a machine in AWS, with the settings of docs/docker.md:
# COMPOSE_FILE=docker-compose.yaml:deploy/compose/aws.yaml
# Settings go in here too (docs/operations.md, docs/api.md): RECOMMENDER_SCHEDULE=@monthly; JSON between single quotes.
"""


def fernet_key() -> str:
    """32 random bytes in URL-safe base64: the format of cryptography.fernet.Fernet."""
    return base64.urlsafe_b64encode(secrets.token_bytes(FERNET_BYTES)).decode()


def token() -> str:
    """A random token of hexadecimal digits, safe inside URLs, JSON and shell words."""
    return secrets.token_hex(TOKEN_BYTES)


def signing_key() -> str:
    """A random key of hexadecimal digits, twice as long as the longest hash that signs with it."""
    return secrets.token_hex(SIGNING_BYTES)


def password() -> str:
    """A password that a person types, of 96 random bits in hexadecimal digits."""
    return secrets.token_hex(12)


def access_key() -> str:
    """An access key id of the usual 20 characters."""
    return secrets.token_hex(10).upper()


SECRETS: dict[str, Callable[[], str]] = {
    "POSTGRES_PASSWORD": token,
    "AIRFLOW_FERNET_KEY": fernet_key,
    "AIRFLOW_JWT_SECRET": signing_key,
    "AIRFLOW_API_SECRET_KEY": signing_key,
    "AIRFLOW_ADMIN_PASSWORD": password,
    "OBJECT_STORE_ACCESS_KEY": access_key,
    "OBJECT_STORE_SECRET_KEY": token,
    "API_KEY": token,
}


def render() -> str:
    """The content of a new file: every secret, fresh."""
    return HEADER + "".join(f"{name}={make()}\n" for name, make in SECRETS.items())


def create(path: Path) -> bool:
    """Write fresh secrets with mode 600. Returns False, and changes nothing, where the file exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(render())
    return True


def given(path: Path) -> dict[str, str]:
    """The variables that a file sets, without quotes around a value, but for empty ones."""
    rows = re.findall(r"(?m)^(?:export )?(\w+)=[ \t]*(.*?)\s*$", path.read_text(encoding="utf-8"))
    return {name: value for name, raw in rows if (value := re.sub(r"""^(['"])(.*)\1$""", r"\2", raw))}


def missing(path: Path) -> list[str]:
    """Names of secrets that an existing file leaves out or empty."""
    return [name for name in SECRETS if not given(path).get(name)]


def unread(path: Path) -> list[str]:
    """Names of settings in a file that no container gets, such as misspelt ones."""
    known = {*SETTINGS} - OF_CONTAINERS
    return [name for name in given(path) if name.startswith("RECOMMENDER_") and name not in known]


def complaints(path: Path) -> list[str]:
    """What is wrong with an existing file, and how to fix it. Values are secrets, so none is shown."""
    found = []
    if absent := missing(path):
        found.append(f"{path} lacks {', '.join(absent)}: add them, or move the file away to get a new one")
    elif len(given(path)["AIRFLOW_JWT_SECRET"]) < SIGNING_BYTES:
        found.append(
            f"{path}: AIRFLOW_JWT_SECRET is shorter than {SIGNING_BYTES} characters: replace it by the output of "
            f"python3 -c 'import secrets; print(secrets.token_hex({SIGNING_BYTES}))'"
        )
    if names := unread(path):
        found.append(
            f"{path}: {', '.join(names)} reaches no container; docs/operations.md and docs/api.md list the settings"
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        found.append(f"{path} can be read by other users, expected mode 600: chmod 600 {path}")
    return found


def renew(path: Path, name: str) -> None:
    """Give one secret of the file a fresh value. Raises ValueError where the file does not hold it.

    Airflow encrypts with the first key of a list, and decrypts with any of them. So the old Fernet key stays behind
    the new one, until all was encrypted anew.
    """
    old = given(path).get(name)
    if old is None:
        raise ValueError(f"{path} has no {name}: add it, or move the file away to get a new one")
    fresh = SECRETS[name]()
    _set(path, name, f"{fresh},{old}" if name == FERNET else fresh)


def forget_old(path: Path) -> None:
    """Leave only the newest Fernet key. Raises ValueError where the file has none."""
    keys = given(path).get(FERNET)
    if keys is None:
        raise ValueError(f"{path} has no {FERNET}")
    _set(path, FERNET, keys.partition(",")[0])


def _set(path: Path, name: str, value: str) -> None:
    text = re.sub(rf"(?m)^((?:export )?{name}=).*$", rf"\g<1>{value}", path.read_text(encoding="utf-8"))
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def change(path: Path, names: list[str]) -> int:
    """Renew secrets, or forget the old Fernet key where none is named. Returns the exit status."""
    try:
        for name in names:
            renew(path, name)
        if not names:
            forget_old(path)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    new = " and ".join(names)
    said = f"{new} {'are' if len(names) > 1 else 'is'} new" if names else f"{FERNET} has one key"
    print(f"{path}: {said}; docs/recovery.md says what to do next")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Make the file, or check the one that is there. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the secrets of the Docker stack, once.")
    parser.add_argument("path", nargs="?", type=Path, default=ROOT / ".env", help="the file (default: .env)")
    parser.add_argument(
        "--renew",
        action="append",
        default=[],
        choices=SECRETS,
        metavar="NAME",
        help=f"give one a fresh value, may be repeated: {', '.join(SECRETS)}",
    )
    parser.add_argument("--forget-old", action="store_true", help=f"leave only the newest key of {FERNET}")
    options = parser.parse_args(arguments)
    path = options.path
    if options.renew or options.forget_old:
        return change(path, options.renew)
    try:
        made, wrong = create(path), complaints(path)
    except OSError as error:
        wrong, made = [f"{path} cannot be made or read: {error.strerror}"], False
    for problem in wrong:
        print(f"error: {problem}", file=sys.stderr)
    if not wrong:
        print(f"{path}: {'made, with fresh secrets and mode 600' if made else 'kept as it is'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
