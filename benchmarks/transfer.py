"""Downloading one object against a plain copy from the same server, and what an interruption costs.

    python -m benchmarks.transfer [--mb 2000] [--pairs 3]

The server is a small one on loopback that serves one file by ranges, with `sendfile`, so that it takes little of the
machine. The reference is one GET of the same file, written to disk and hashed by the same process: what any download
that is verified has to do. CPU and wall seconds and peak memory of the downloading process, each run in a fresh one,
in turn. `resumed` is the time of a second download after a first that was killed at three quarters.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from include.recommender.storage.objects import ObjectInfo, ObjectStore

from ._timing import ROOT, Cost, in_child, measure, report, spread
from .stages import client_at

ETAG, KEY, MB = '"one"', "big", 1_000_000


class Ranges(BaseHTTPRequestHandler):
    """Serves the file by ranges."""

    protocol_version = "HTTP/1.1"
    file: Path

    def do_GET(self) -> None:
        """One range, or all."""
        size = self.file.stat().st_size
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, stop = (int(found[1]), min(int(found[2]) + 1, size)) if found else (0, size)
        self.send_response(206 if found else 200)
        self.send_header("ETag", ETAG)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        self.wfile.flush()
        with self.file.open("rb") as file:
            self.connection.setblocking(True)
            while start < stop:
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, stop - start)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def download(endpoint: str, size_bytes: int, folder: Path, killed_at: float = 2.0) -> None:
    """Our download; the process is killed when a share of the bytes is there."""
    store = ObjectStore(client_at(endpoint), "reviews", "shop")

    def progress(done: int) -> None:
        if done > killed_at * size_bytes:
            os._exit(0)

    store.download(ObjectInfo(KEY, size_bytes, ETAG), folder / KEY, resumed=True, progress=progress)


def copy(endpoint: str, folder: Path) -> None:
    """The reference: one GET, written and hashed."""
    digest, server = hashlib.sha256(), http.client.HTTPConnection(endpoint.removeprefix("http://"))
    server.request("GET", f"/reviews/shop/{KEY}")
    with server.getresponse() as answer, (folder / "copy").open("wb") as file:
        while data := answer.read(1 << 20):
            file.write(data)
            digest.update(data)


def _line(name: str, costs: list[Cost], mb: int) -> str:
    wall = [cost.wall_s for cost in costs]
    peak = max(cost.peak_bytes for cost in costs) / MB
    return (
        f"{name:9} wall s {spread(wall)} ({mb / min(wall):.0f} MB/s), CPU s {spread([c.cpu_s for c in costs])}, "
        f"peak {peak:.0f} MB"
    )


class Server(ThreadingHTTPServer):
    """A client that is killed in the middle is no error."""

    def handle_error(self, *_: object) -> None:
        """Nothing."""


def _serve(file: Path) -> ThreadingHTTPServer:
    handler = type("OneFile", (Ranges,), {"file": file})
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=__doc__)
    parser.add_argument("--mb", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3, help="runs of each")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        work, endpoint, target = given.run[0], given.run[1], Path(given.run[2])
        works = {
            "download": lambda: download(endpoint, given.mb * MB, target),
            "killed": lambda: download(endpoint, given.mb * MB, target, 0.75),
            "copy": lambda: copy(endpoint, target),
        }
        return report(measure(works[work]))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        with source.open("wb") as file:
            for seed in range(given.mb):
                file.write(np.random.default_rng(seed).bytes(MB))
        server = _serve(source)
        options = ("--mb", str(given.mb), "--run")
        where: list[str] = [f"http://127.0.0.1:{server.server_port}", folder]
        costs: dict[str, list[Cost]] = {"download": [], "copy": [], "resumed": []}
        for _ in range(given.pairs):
            for name in ("download", "copy"):
                costs[name].append(in_child("benchmarks.transfer", *options, name, *where))
                for made in (Path(folder) / KEY, Path(folder) / "copy"):
                    made.unlink(missing_ok=True)
            killed = [sys.executable, "-m", "benchmarks.transfer", *options, "killed", *where]
            subprocess.run(killed, cwd=ROOT, check=True)
            costs["resumed"].append(in_child("benchmarks.transfer", *options, "download", *where))
            (Path(folder) / KEY).unlink()
        server.shutdown()
    print(f"{given.mb:,} MB; minimum / median / maximum of {given.pairs} runs")
    for name, found in costs.items():
        print(_line(name, found, given.mb))
    ratios = [one.wall_s / other.wall_s for one, other in zip(costs["download"], costs["copy"], strict=True)]
    print(f"download / copy, wall: {spread(ratios)}")


if __name__ == "__main__":
    main()
