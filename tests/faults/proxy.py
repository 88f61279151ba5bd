"""An HTTP server between a client and the S3 server, which misbehaves on purpose and as often as a test asks."""

import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ERROR_BODY = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>made to fail</Message></Error>"


@dataclass
class Fault:
    """What happens to requests of a method ("" is any) whose path matches: `times` times, after `skip` that pass.

    kind :
        "500", "503", "403": an error answer;
        "reset": the connection breaks before the answer; "short": after half of the body;
        "lost": the request is carried out and its answer lost; "flip": a byte of the body differs;
        "hang": no answer comes; "stall": half of the body comes and then no more (until the client goes away);
        "late": the request is carried out, and no answer comes; "call": the request passes
    code : of an error answer, where not the usual one
    action : runs before the request is carried out, whatever the kind
    after : runs when it was carried out, before it is answered
    """

    method: str
    path: str
    kind: str
    times: int = 1
    skip: int = 0
    action: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    code: str = ""


@dataclass
class Script:
    """The faults still to come, and the requests that were seen."""

    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, method: str, path: str) -> Fault | None:
        """The fault for a request, if there is one for it."""
        with self.lock:
            self.seen.append((method, path))
            for fault in self.faults:
                if fault.method in ("", method) and re.search(fault.path, path):
                    if fault.skip:
                        fault.skip -= 1
                    elif fault.times:
                        fault.times -= 1
                        return fault
        return None

    def count(self, method: str, path: str) -> int:
        """How often such a request came."""
        return sum(seen == method and re.search(path, where) is not None for seen, where in self.seen)


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, or not."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and a small body would wait for each other
    script: Script
    upstream: str

    def handle_any(self) -> None:
        body = self._body()
        fault = self.script.next(self.command, self.path)
        kind = fault.kind if fault else ""
        if fault and fault.action:
            fault.action()
        if fault and kind.isdigit():
            code = fault.code or {"503": "SlowDown", "403": "AccessDenied"}.get(kind, "InternalError")
            self._answer(int(kind), {"Content-Type": "application/xml"}, ERROR_BODY % code.encode())
        elif kind == "reset":
            self._break()
        elif kind == "hang":
            self._wait_for_the_client_to_go()
        else:
            status, headers, data = self._pass_on(body)
            if fault and fault.after:
                fault.after()
            if kind == "lost":
                self._break()
            elif kind == "late":
                self._wait_for_the_client_to_go()
            elif kind in {"short", "stall"}:
                self._answer(status, headers, data, cut=len(data) // 2, stall=kind == "stall")
            else:
                self._answer(status, headers, _flipped(data) if kind == "flip" else data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 (the base class's names)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(b"%x\r\n" % size + self.rfile.read(size + 2))
        self.rfile.readline()
        return b"".join(parts) + b"0\r\n\r\n"

    def _pass_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes, cut: int | None = None, stall: bool = False
    ) -> None:
        self.send_response(status)
        length = headers.get("Content-Length", str(len(data))) if self.command == "HEAD" else str(len(data))
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data[:cut])
        if stall:
            self._wait_for_the_client_to_go()
        elif cut is not None:
            self._break()

    def _wait_for_the_client_to_go(self) -> None:
        self.connection.recv(1)
        self.close_connection = True

    def _break(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def serve(endpoint: str, base: type[Handler] = Handler) -> tuple[ThreadingHTTPServer, Script]:
    """Start a server before an endpoint; `server.shutdown()` ends it."""
    script = Script()
    handler = type("Bound", (base,), {"script": script, "upstream": urlsplit(endpoint).netloc})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, script
