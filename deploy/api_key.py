"""The key of the online API in containers: `python -m deploy.api_key FILE` puts the digest of API_KEY into the file.

It runs in the service `api-keys` at each start. Other keys stay, so a changed API_KEY replaces only its own.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from include.recommender.api.keys import KeyFile, read_keys
from include.recommender.errors import ConfigError, RecommenderError
from include.recommender.storage.disk import guarded
from include.recommender.storage.scratch import scratch_file

VARIABLE = "API_KEY"
CALLER = "compose"  # how the access log names who uses this key
LEAST_CHARS = 32


def set_key(path: Path, name: str, key: str) -> None:
    """Give a key to a name, which may have another one. Raises ConfigError if the file is damaged."""
    known = read_keys(path).keys if path.exists() else {}
    digest = hashlib.sha256(key.encode()).hexdigest()
    with guarded(path, "the API keys"), scratch_file(path) as work:
        work.write_bytes(msgspec.json.encode(KeyFile({**known, name: digest})))
        work.chmod(0o600)
        os.replace(work, path)


def prepare(path: Path, environment: Mapping[str, str]) -> None:
    """Put the key of the environment into the file. Raises ConfigError."""
    key = environment.get(VARIABLE, "")
    if len(key) < LEAST_CHARS:
        raise ConfigError(
            f"{VARIABLE} has {len(key)} characters, expected at least {LEAST_CHARS}. "
            "Take the output of python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    set_key(path, CALLER, key)


def main(arguments: Sequence[str]) -> int:
    """Command line. Returns the exit status."""
    (file,) = arguments
    try:
        prepare(Path(file), os.environ)
    except RecommenderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{file}: {CALLER} has the key {VARIABLE} of .env")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
