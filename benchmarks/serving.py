"""Load on the online API: requests a second, latencies, and memory, with the load generator on the same machine.

A model is fitted to generated interactions, published to an S3 server (moto), and served by a process of its own. `wrk`
(a Debian package) asks for the lists of random users, so that hardly a list is asked for twice; the cache of lists is
off.

healthz       the same server and load without a model: what HTTP alone costs
product       float32 products of 8 users and all items, one thread: what scoring everything costs at least

python -m benchmarks.serving [--family F] [--items N] [--factors N] [--users N] [--workers N] [--connections N ...]
                             [--seconds N]
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import numpy as np
import psutil
from moto.server import ThreadedMotoServer
from threadpoolctl import threadpool_limits

from deploy.health import DIRECT
from include.recommender.registry.bundle import Manifest
from include.recommender.registry.registry import Registry
from include.recommender.storage.objects import ObjectStore

from .versions import promote, publish, write

BUCKET, PORT = "bench", 8099
READY_S = 300.0
ADDRESS = f"http://127.0.0.1:{PORT}"
ASK = """
math.randomseed(os.time())
request = function()
  return wrk.format("GET", string.format("/v1/users/U%09d/recommendations", math.random(0, {last})))
end
"""
KEY = "benchmark"
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def main() -> None:
    """Print a line for each number of connections, and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=160_000, help="default: %(default)s")
    parser.add_argument("--factors", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--users", type=int, default=500_000, help="default: %(default)s")
    parser.add_argument("--iterations", type=int, default=3, help="of ALS (default: %(default)s)")
    parser.add_argument("--family", default="blend", choices=["blend", "als", "knn"], help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="processes of the API (default: %(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 12, 16], help="default: 1 8 12 16")
    parser.add_argument("--seconds", type=int, default=8, help="of each load (default: %(default)s)")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is missing: apt-get install wrk")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    # A version is prepared by a process of its own, which may still write when the API has ended.
    with tempfile.TemporaryDirectory(prefix="benchmark-serving-", ignore_cleanup_errors=True) as folder:
        work, endpoint = Path(folder), f"http://127.0.0.1:{server.get_host_and_port()[1]}"
        registry = _registry(endpoint)
        (work / "version").mkdir()
        print(f"Fitting {given.factors} factors of {given.items:,} items ...", flush=True)
        params = {"factors": given.factors, "iterations": given.iterations, "family": given.family}
        config = write(work / "version", given.items, given.users, **params)
        first, second = (publish(registry, work / "version", config, label) for label in "ab")
        promote(registry, first)
        n_users = len(np.load(work / "version" / "seen_indptr.npy")) - 1
        (work / "ask.lua").write_text(ASK.replace("{last}", str(n_users - 1)))
        with _api(endpoint, work, given.workers) as process:
            print(f"{'connections':>12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}{'of healthz/s':>14}")
            for connections in given.connections:
                asked, idle = (_load(work, connections, given.seconds, path) for path in ("", "/healthz"))
                share = asked.per_second / idle.per_second
                print(
                    f"{connections:>12}{asked.per_second:>12,.0f}{asked.p50_ms:>9.1f}{asked.p99_ms:>9.1f}"
                    f"{asked.failed:>8}{share:>14.2f}",
                    flush=True,
                )
            print(f"swap under load: {_swap(registry, work, second, given.seconds)}")
            _memory(process)
        print(f"product: {_product(given.items, given.factors):,.0f} users/s, one thread")
    server.stop()


class Load:
    """What wrk reports."""

    def __init__(self, text: str) -> None:
        self.per_second = float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])
        self.p50_ms, self.p99_ms = (_ms(text, share) for share in ("50%", "99%"))
        errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        sockets = re.findall(r"(?:connect|read|write|timeout) (\d+)", text)
        self.failed = (int(errors[1]) if errors else 0) + sum(map(int, sockets))


def _ms(text: str, share: str) -> float:
    number, unit = re.findall(rf"^\s+{share}\s+([\d.]+)(us|ms|s)$", text, re.M)[0]
    return float(number) * UNITS[unit]


def _load(work: Path, connections: int, seconds: int, path: str = "") -> Load:
    script = [] if path else ["-s", str(work / "ask.lua")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", *script, f"{ADDRESS}{path}"]
    return Load(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _swap(registry: Registry, work: Path, second: Manifest, seconds: int) -> str:
    script = ["-s", str(work / "ask.lua"), f"{ADDRESS}"]
    load = subprocess.Popen(
        ["wrk", "-t1", "-c8", f"-d{seconds}", "--latency", *script], stdout=subprocess.PIPE, text=True
    )
    time.sleep(seconds / 3)
    promote(registry, second)
    found = Load(load.communicate()[0])
    return f"{found.per_second:,.0f} requests/s, p99 {found.p99_ms:.1f} ms, {found.failed} failed"


def _registry(endpoint: str) -> Registry:
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=KEY
    )
    client.create_bucket(Bucket=BUCKET)
    return Registry(ObjectStore(client, BUCKET, "shop"))


@contextmanager
def _api(endpoint: str, work: Path, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "RECOMMENDER_ROOT": f"s3://{BUCKET}/shop",
        "RECOMMENDER_CACHE": str(work / "cache"),
        "RECOMMENDER_API_OPEN": "1",
        "RECOMMENDER_API_CACHE": "0",
        "RECOMMENDER_API_WORKERS": str(workers),
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "include.recommender.api", "--port", str(PORT)]
    with (work / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait(process, work / "api.log")
            yield process
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with DIRECT.open(f"{ADDRESS}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"The API did not start:\n{log.read_text()[-3_000:]}")


def _memory(process: subprocess.Popen[bytes]) -> None:
    """Memory of the processes that answer: shared pages are counted once in the sum of PSS."""
    parent = psutil.Process(process.pid)
    every = [each.memory_full_info() for each in [parent, *parent.children(recursive=True)]]
    own = [f"{info.uss / 1e6:,.0f}" for info in every]
    print(f"memory: {sum(info.pss for info in every) / 1e6:,.0f} MB in all; of each process alone {', '.join(own)} MB")


def _product(n_items: int, factors: int) -> float:
    rng = np.random.default_rng(1)
    items = rng.standard_normal((n_items, factors), dtype=np.float32)
    users = rng.standard_normal((8, factors), dtype=np.float32)
    out = np.empty((8, n_items), dtype=np.float32)
    with threadpool_limits(1, "blas"):
        started = time.perf_counter()
        for _ in range(10):
            np.matmul(users, items.T, out=out)
        return 80 / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
