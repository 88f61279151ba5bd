"""Questions to the servers of a deployment, over HTTP, without a proxy, and with little patience."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from ...errors import ConfigError, DataError, NotFound, TransientError
from ...storage.redaction import printable

TIMEOUT_S = 5
LONGEST = 4 << 20
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Answer = TypeVar("Answer")


class LoginRefused(ConfigError):
    """The server refuses this login, or wants one."""


@dataclass(frozen=True)
class ServerAddress:
    """A server by its address.

    headers : of every request; a token may be among them
    """

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, path: str, kind: type[Answer]) -> Answer:
        """The answer to a GET; see `ask`."""
        return self.ask(path, kind, None)

    def ask(self, path: str, kind: type[Answer], body: Any) -> Answer:
        """The answer, checked against a type; fields that the type does not name are left out.

        Raises
        ------
        ConfigError
            The address is none; LoginRefused: 401 or 403.
        NotFound
            404.
        DataError
            The answer is not of that type: something else listens there.
        TransientError
            There is no answer in time, or another status.
        """
        url = f"{self.address.rstrip('/')}{path}"
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise ConfigError(f"{printable(self.address)}: expected an address such as http://localhost:8080")
        data = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(url, data, {"Content-Type": "application/json", **self.headers})  # noqa: S310
        try:
            with DIRECT.open(request, timeout=TIMEOUT_S) as answer:
                raw = answer.read(LONGEST)
        except urllib.error.HTTPError as error:
            raise _of_status(url, error) from None
        except (OSError, ValueError) as error:
            raise TransientError(f"{url}: no answer ({printable(getattr(error, 'reason', error))})") from None
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError as error:
            raise DataError(f"{url}: an unexpected answer ({printable(error)}); another server listens there") from None


def _of_status(url: str, error: urllib.error.HTTPError) -> ConfigError | NotFound | TransientError:
    heard = f"{url}: {error.code} {printable(error.read(2_000).decode(errors='replace'))}"
    if error.code in {401, 403}:
        return LoginRefused(heard)
    return NotFound(heard) if error.code == 404 else TransientError(heard)
