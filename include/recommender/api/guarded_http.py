"""uvicorn's HTTP protocol with a deadline and a bound for the head of a request, and problems in JSON.

Without them a client that sends a byte a minute keeps its connection, and an endless header fills the memory.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .problems import problem_bytes

HEAD_BYTES = 64 * 1024
# Until the whole head of a request is there; an idle connection is closed after as long. Load balancers keep theirs for
# a minute, and have to be the first to close.
HEAD_S = 75.0
UNREAD_S = 10.0  # for a client to take what was written


class GuardedHttp(HttpToolsProtocol):
    """One connection.

    in_head : the parser is between requests, or within the head of one
    head_bytes : bytes of that head so far, or of the trailers of a body
    n_messages : requests that the parser has read whole
    """

    in_head = True
    head_bytes = 0
    n_messages = 0
    head_timer: TimerHandle | None = None
    unread_timer: TimerHandle | None = None
    too_long = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what is written: it has a while for that."""
        super().pause_writing()
        self._stop_unread_timer()
        self.unread_timer = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._stop_unread_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Refuse a head that has no end."""
        before, was_in_head = self.n_messages, self.in_head
        super().data_received(data)
        if was_in_head and self.in_head and self.n_messages == before:
            self.head_bytes += len(data)
            if self.head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.too_long = True
                self.send_400_response("")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the trailers of a body, which are headers too."""
        if not self.in_head:
            self.head_bytes += len(name) + len(value)
            if self.head_bytes > HEAD_BYTES:
                self.too_long = True
                raise ValueError("trailers are too long")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.in_head, self.head_bytes = False, 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next head may begin, also while this request is answered."""
        self.in_head, self.head_bytes = True, 0
        self.n_messages += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the head of the next request, if it is not there yet."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.in_head:
            self._await_head()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also one whose client reads nothing."""
        self._close()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a problem in JSON, too."""
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if self.too_long else HTTPStatus.BAD_REQUEST
        body = problem_bytes(status, f"expected a head of up to {HEAD_BYTES:,} bytes" if self.too_long else msg)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self._close()

    def _await_head(self) -> None:
        self._stop_timer()
        self.head_timer = self.loop.call_later(HEAD_S, self._too_slow)

    def _stop_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _stop_unread_timer(self) -> None:
        if self.unread_timer is not None:
            self.unread_timer.cancel()
            self.unread_timer = None

    def _too_slow(self) -> None:
        self.head_timer = None
        if self.cycle is None or self.cycle.response_complete:
            self._close()

    def _close(self) -> None:
        """What was written is flushed first; a client that does not read it would keep it in memory for ever."""
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.close()
            self.loop.call_later(UNREAD_S, self.transport.abort)
