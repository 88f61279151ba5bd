"""The S3 server of the laptop: ministack behind a guard, in one process, so that no port leads past the guard.

A web page may send requests to loopback, and a name may be rebound to it. So nothing is served that a browser marks as
coming from a page, that asks for another host, or that is not signed with this home's key.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from deploy.stack import Store

from .signature import Refused, Request, check

HEALTH = "/_health"
METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
BUCKET_NAME = re.compile(rb"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
BROWSERS = ("origin", "referer", "upgrade")  # and all that begin with sec-
ONCE = ("host", "authorization", "content-length", "transfer-encoding")
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def main() -> None:
    """Command line; serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.guarded_store", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", type=Path, required=True, help="a file: JSON with key_id and secret")
    given = parser.parse_args()
    asyncio.run(serve(Store(f"http://{given.host}:{given.port}", **json.loads(given.key.read_text()))))


async def serve(store: Store) -> None:
    """Serve ministack, whose own settings are in the environment, behind the guard."""
    from hypercorn.asyncio import serve as serve_app
    from hypercorn.config import Config
    from ministack.app import app  # type: ignore[import-untyped]
    from ministack.core import hypercorn_compat  # type: ignore[import-untyped]

    hypercorn_compat.install()
    config = Config()
    host = store.endpoint.removeprefix("http://")
    config.bind, config.keep_alive_timeout, config.loglevel = [host], 75, "WARNING"
    # HTTP/1.1 alone; no name of the software in the answers.
    config.alpn_protocols, config.include_server_header = ["http/1.1"], False
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await serve_app(Guard(app, store), config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]


class Guard:
    """An ASGI app before another one."""

    def __init__(self, app: App, store: Store) -> None:
        self.app, self.store = app, store
        host = store.endpoint.removeprefix("http://")
        self.hosts = (host, f"localhost:{host.rpartition(':')[2]}")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        try:
            request = _request(scope)
            self._check_origin(scope, request)
            if request.path == HEALTH and request.method in {"GET", "HEAD"}:
                return await _answer(send, 200, b"", "text/plain")
            body_sha256 = check(request, self.store, datetime.now(UTC))
            _check_target(scope)
        except Refused as refused:
            return await _refuse(send, refused)
        body = _Body(receive, body_sha256)
        try:
            await self.app(scope, body.receive, _without_cors(send))
        except Refused as refused:
            await _refuse(send, refused)

    def _check_origin(self, scope: MutableMapping[str, Any], request: Request) -> None:
        """Refuse what a browser sends for a page, what asks for another host, and what two readers read differently."""
        if scope["http_version"] not in {"1.1", "1.0"} or not request.path.startswith("/"):
            raise Refused("InvalidRequest", "expected HTTP/1.1 and a path", 400)
        for name in ONCE:
            request.header(name)
        if request.header("content-length") and request.header("transfer-encoding"):
            raise Refused("InvalidRequest", "both content-length and transfer-encoding", 400)
        if request.method not in METHODS:
            raise Refused("MethodNotAllowed", f"the method {request.method} is not served", 403)
        if request.header("host").lower() not in self.hosts:
            raise Refused("AccessDenied", f"the host is not {' or '.join(self.hosts)}")
        for name, _ in request.headers:
            if name in BROWSERS or name.startswith(("sec-", "access-control-")):
                raise Refused("AccessDenied", f"the header {name}: web pages are not served")


class _Body:
    """A request's body, which must have the SHA-256 that was signed.

    It is handed on in one piece: ministack would add piece to piece, and copy all it has each time.
    """

    def __init__(self, receive: Receive, sha256: str) -> None:
        self.source = receive
        self.wanted = sha256 if HEX_DIGEST.fullmatch(sha256) else None
        self.complete = False

    async def receive(self) -> Message:
        """The whole body first. Raises Refused where it is another than was signed."""
        message = await self.source()
        if self.complete or message["type"] != "http.request":
            return message
        digest, parts = hashlib.sha256(), [message.get("body", b"")]
        digest.update(parts[0])
        while message.get("more_body", False):
            message = await self.source()
            if message["type"] != "http.request":
                # The client has gone in the middle; half of a body is none.
                raise Refused("IncompleteBody", "the connection ended within the body", 400)
            parts.append(message.get("body", b""))
            digest.update(parts[-1])
        self.complete = True
        if self.wanted is not None and digest.hexdigest() != self.wanted:
            raise Refused("XAmzContentSHA256Mismatch", "the body is not the one that was signed", 400)
        return {"type": "http.request", "body": b"".join(parts), "more_body": False}


def _request(scope: MutableMapping[str, Any]) -> Request:
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1").strip()) for name, value in scope["headers"]]
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


def _check_target(scope: MutableMapping[str, Any]) -> None:
    """Only buckets and keys: ministack has many other routes."""
    first = unquote_to_bytes(scope["raw_path"].partition(b"?")[0]).split(b"/")[1]
    if first and not BUCKET_NAME.fullmatch(first):
        raise Refused("InvalidBucketName", "the first part of the path is no bucket name", 400)


def _without_cors(send: Send) -> Send:
    """Let no page read an answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    return sending


async def _refuse(send: Send, refused: Refused) -> None:
    text = f"{refused.message}. The key of this S3 is in .local/env.sh"
    error = f"<Error><Code>{refused.code}</Code><Message>{escape(text)}</Message></Error>"
    body = f"<?xml version='1.0' encoding='UTF-8'?>\n{error}".encode()
    await _answer(send, refused.status, body, "application/xml")


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    if status != 200:
        # What is left of a body is not read.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    main()
