"""A store that answers correctly to one writer at a time, and lets two of them win when they meet."""

import hashlib
import threading
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config

from include.recommender.errors import ConfigError, PreconditionFailed
from include.recommender.registry.channels import Channels
from include.recommender.storage.objects import ObjectStore

MEETING_S = 3  # long: they meet at once, but for a machine that is busy


class Shelf:
    """Objects by key. A write looks at the condition and then stores; what lies between is the store's kind."""

    def __init__(self, between: Callable[[], None], one_at_a_time: bool) -> None:
        self.objects: dict[str, bytes] = {}
        self.between = between
        self.door = threading.Lock() if one_at_a_time else None

    def etag(self, key):
        return f'"{hashlib.md5(self.objects[key]).hexdigest()}"' if key in self.objects else None

    def put(self, key, data, headers):
        with self.door or nullcontext():
            now, wanted = self.etag(key), headers.get("If-Match")
            if (headers.get("If-None-Match") and now) or (wanted and wanted != now):
                return 412
            if wanted or headers.get("If-None-Match"):
                self.between()
            self.objects[key] = data
            return 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shelf: Shelf

    def _body(self):
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            """The trailer with the checksum."""
        return data

    def _send(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        data = self._body()
        status = self.shelf.put(self.path, data, self.headers)
        if status == 200:
            self._send(200, ETag=f'"{hashlib.md5(data).hexdigest()}"')
        else:
            self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>")

    def do_GET(self):
        etag = self.shelf.etag(self.path)
        if etag is None:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._send(200, self.shelf.objects[self.path], ETag=etag)

    def do_POST(self):
        self._body()
        self.shelf.objects.clear()
        self._send(200, b"<DeleteResult><Deleted><Key>all</Key></Deleted></DeleteResult>")

    def log_message(self, *_):
        """Quiet."""


@contextmanager
def store(shelf):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"shelf": shelf}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=16),
    )
    try:
        yield ObjectStore(client, "bucket", "shop")
    finally:
        server.shutdown()
        server.server_close()


def meeting_of_two():
    """Wait a moment for another writer, so that two which come together are both between look and write."""
    gate = threading.Barrier(2)

    def meet():
        with suppress(threading.BrokenBarrierError):
            gate.wait(MEETING_S)
        if gate.broken:
            gate.reset()

    return meet


def test_a_store_that_is_right_in_turn_and_wrong_in_a_race_is_refused():
    shelf = Shelf(lambda: None, one_at_a_time=False)
    with store(shelf) as objects:
        # One question at a time, it answers as it should.
        etag = objects.write("a", b"1", create_only=True)
        with pytest.raises(PreconditionFailed):
            objects.write("a", b"2", create_only=True)
        with pytest.raises(PreconditionFailed):
            objects.write("a", b"2", if_match='"00"')
        objects.write("a", b"2", if_match=etag)
        shelf.between = meeting_of_two()
        with pytest.raises(ConfigError, match=r"of 8 writers with one If-None-Match that met, \d won.*versitygw"):
            Channels(objects).probe()


def test_a_store_that_only_creates_atomically_is_refused():
    shelf, creating = Shelf(meeting_of_two(), one_at_a_time=False), Shelf(lambda: None, one_at_a_time=True)
    creating.objects = shelf.objects
    put = shelf.put
    shelf.put = lambda key, data, headers: (creating.put if headers.get("If-None-Match") else put)(key, data, headers)
    with store(shelf) as objects, pytest.raises(ConfigError, match="writers with one If-Match that met"):
        Channels(objects).probe()


def test_a_store_that_decides_one_at_a_time_passes_and_is_left_clean():
    shelf = Shelf(lambda: None, one_at_a_time=True)
    with store(shelf) as objects:
        Channels(objects).probe()
    assert shelf.objects == {}


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_store_that_ignores_a_condition_is_refused(header):
    shelf = Shelf(lambda: None, one_at_a_time=True)
    put = shelf.put
    shelf.put = lambda key, data, headers: put(key, data, {k: v for k, v in headers.items() if k != header})
    with store(shelf) as objects, pytest.raises(ConfigError, match=header):
        Channels(objects).probe()


def test_a_store_that_refuses_and_stores_all_the_same_is_refused():
    shelf = Shelf(lambda: None, one_at_a_time=True)
    put = shelf.put

    def lying(key, data, headers):
        status = put(key, data, headers)
        shelf.objects[key] = data
        return status

    shelf.put = lying
    with store(shelf) as objects, pytest.raises(ConfigError, match="stored what that wrote"):
        Channels(objects).probe()
