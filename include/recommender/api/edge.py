"""What happens to every request before and after its route: key, size, time, id, metrics, log."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access_log import AccessLog
from .problems import MEDIA_TYPE, problem_bytes
from .service import Service

log = logging.getLogger(__name__)

OPEN = frozenset({"/healthz", "/readyz"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
BODY_S = 10.0  # for the whole body of a request to arrive


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class _Gone(Exception):
    """The client has left."""


@dataclass
class Note:
    """What is known of a request, for the log.

    fields : what its route adds
    """

    request_id: str
    started: float = field(default_factory=perf_counter)
    status: int = 0
    caller: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class Edge:
    """The app with what every request goes through."""

    app: ASGIApp
    service: Service
    access_log: AccessLog = field(default_factory=AccessLog)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        note = Note(_request_id(headers))
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state.update(request_id=note.request_id, note=note)
        sending = _noting(send, note)
        try:
            note.caller = self._caller(scope["path"], headers)
            body = await self._body(headers, receive)
            await self.app(scope, _again(body, receive), sending)
        except _Refused as refused:
            await _refuse(sending, refused, note.request_id)
        except _Gone:
            note.status = 499
        except Exception:
            log.exception("request %s failed", note.request_id)
        self._record(scope, state, note)

    def _caller(self, path: str, headers: dict[bytes, bytes]) -> str | None:
        """The name of the key, or None where no key is needed."""
        if self.service.keys is None or path in OPEN:
            return None
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        caller = self.service.keys.caller(key.decode("latin-1").strip()) if scheme.lower() == b"bearer" else None
        if caller is None:
            detail = "Expected a known API key, as in `Authorization: Bearer <key>`."
            raise _Refused(HTTPStatus.UNAUTHORIZED, detail, {"www-authenticate": "Bearer"})
        return caller

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return b""
        most = self.service.settings.config.body_bytes
        too_large = _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Expected a body of up to {most:,} bytes.")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise too_large
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            detail = f"The body did not arrive within {BODY_S:g} seconds."
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, detail) from None

    def _record(self, scope: Scope, state: MutableMapping[str, Any], note: Note) -> None:
        seconds, route = perf_counter() - note.started, _route(scope)
        self.service.metrics.seconds.labels(route, str(note.status)).observe(seconds)
        if "refused" in state and scope["path"] not in OPEN:
            self.service.metrics.refused.labels(state["refused"]).inc()
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": note.request_id,
            "method": scope["method"],
            "route": route,
            "status": note.status,
            "ms": round(1000 * seconds, 2),
            "caller": note.caller,
            **note.fields,
        }
        self.access_log.add(line)
        self.service.metrics.dropped.set(self.access_log.n_dropped)


def _request_id(headers: dict[bytes, bytes]) -> str:
    """That of the caller, if it is plain; a new one otherwise."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _route(scope: Scope) -> str:
    """The template of the path, not the path: ids would make endless series of metrics."""
    return str(getattr(scope.get("route"), "path_format", "other"))


def _noting(send: Send, note: Note) -> Send:
    """`send`, which notes the status and adds the id."""

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            note.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-request-id", note.request_id.encode())]
        await send(message)

    return noting


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once, and then what the server says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send, refused: _Refused, request_id: str) -> None:
    body = problem_bytes(refused.status, refused.detail, request_id)
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close", **refused.headers}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status.value, "headers": raw})
    await send({"type": "http.response.body", "body": body})
