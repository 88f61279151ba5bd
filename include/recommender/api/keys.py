"""API keys: a file of names and SHA-256 digests, read again when it changes.

A key is 32 random bytes, so one round of SHA-256 is enough: there is nothing to guess. The file never holds a key.

    python -m include.recommender.api.keys add|remove|list [NAME] --file keys.json
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import logging
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from ..errors import ConfigError, RecommenderError
from ..storage.disk import guarded
from ..storage.documents import Sha256
from ..storage.scratch import scratch_file

log = logging.getLogger(__name__)

KEY_BYTES = 32
LONGEST_KEY = 512
_ADD = "`python -m include.recommender.api.keys add NAME --file {}`"
Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name -> SHA-256 of the key, in hexadecimal. Two names may be one caller's old and new key."""

    keys: dict[Name, Sha256]


@dataclass
class Keys:
    """The keys of a file. A change counts at once, also where none is left; a damaged file leaves them as they were."""

    path: Path
    _state: tuple[int, int, int] | None = field(default=None, init=False)
    _digests: dict[str, bytes] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Raises ConfigError if the file is not there, is damaged or has no key."""
        found = read_keys(self.path)
        if not found.keys:
            raise ConfigError(f"{self.path}: holds no key. {_ADD.format(self.path)} makes one")
        self._take(found, _state_of(self.path))

    @classmethod
    def read(cls, path: str) -> Keys:
        """The keys of a file. Raises ConfigError."""
        return cls(Path(path))

    def caller(self, key: str) -> str | None:
        """The name of a key, or None. It takes the same time whether a key is nearly right or not at all."""
        self._refresh()
        digest = hashlib.sha256(key[:LONGEST_KEY].encode(errors="replace")).digest()
        found = None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found

    def _refresh(self) -> None:
        try:
            state = _state_of(self.path)
            if state != self._state:
                self._state = state  # a damaged file is reported once
                self._take(read_keys(self.path), state)
                log.info("%s: read again, %d keys: %s", self.path, len(self._digests), ", ".join(self._digests))
        except ConfigError as error:
            log.error("The keys stay as they were: %s", error)

    def _take(self, found: KeyFile, state: tuple[int, int, int] | None) -> None:
        self._digests = {name: bytes.fromhex(digest) for name, digest in found.keys.items()}
        self._state = state


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def read_keys(path: Path) -> KeyFile:
    """Read a file of keys. Raises ConfigError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeyFile)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. {_ADD.format(path)} makes it") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: not a file of API keys ({error}). Make it anew, or restore it") from None


def add_key(path: Path, name: str) -> str:
    """Add a key to a file, which is made if it is missing; return the key, which is stored nowhere."""
    known = read_keys(path).keys if path.exists() else {}
    if name in known:
        raise ConfigError(f"{path}: {name} has a key. Remove it first, or add the new one under another name")
    key = secrets.token_urlsafe(KEY_BYTES)
    _write(path, {**known, name: hashlib.sha256(key.encode()).hexdigest()})
    return key


def remove_key(path: Path, name: str) -> None:
    """Remove a key from a file. Raises ConfigError if there is none of that name."""
    known = read_keys(path).keys
    if name not in known:
        raise ConfigError(f"{path}: {name} has no key. There are: {', '.join(known) or 'none'}")
    _write(path, {other: digest for other, digest in known.items() if other != name})


def _write(path: Path, keys: dict[str, str]) -> None:
    try:
        raw = msgspec.json.encode(msgspec.convert({"keys": keys}, KeyFile))
    except msgspec.ValidationError as error:
        raise ConfigError(f"expected a name of letters, digits, dots, hyphens and underscores ({error})") from None
    with guarded(path, "the API keys"), scratch_file(path) as work:
        work.write_bytes(raw)
        work.chmod(0o600)
        os.replace(work, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m include.recommender.api.keys", description="Keys of the API.")
    parser.add_argument("what", choices=["add", "remove", "list"])
    parser.add_argument("name", nargs="?", help="of the caller, for the log")
    parser.add_argument("--file", type=Path, required=True, help="as RECOMMENDER_API_KEYS_FILE names it")
    given = parser.parse_args(arguments)
    if (given.name is None) != (given.what == "list"):
        parser.error(f"{given.what} takes {'no name' if given.name else 'a name'}")
    try:
        if given.what == "add":
            print(add_key(given.file, given.name))
            print("Shown once: only its digest is kept.", file=sys.stderr)
        elif given.what == "remove":
            remove_key(given.file, given.name)
        else:
            print("\n".join(read_keys(given.file).keys))
    except RecommenderError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
