"""An HTTP server that gives one and the same answer to whatever is asked."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status: int
    body: bytes
    headers_out: Mapping[str, str]
    seen: list[str]

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(f"{self.command} {self.path}")
        self.send_response(self.status)
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_CONNECT = _answer  # noqa: N815 (the base class's names)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def answering(status: int, body: str, headers: Mapping[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that answers so, and the requests that it has seen."""
    seen: list[str] = []
    about = {"status": status, "body": body.encode(), "headers_out": headers or {}, "seen": seen}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), about))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
