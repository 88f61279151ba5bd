"""The local S3 and the ownership of `.local`: what survives, what ends, what is named."""

import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from include.recommender.errors import ConfigError
from local import children, processes, store
from local.environment import PROJECT

HOLD = """
import sys
from pathlib import Path
from local.home import Home
from local.run import stop_like_ctrl_c
from local import store
stop_like_ctrl_c()
home = Home(Path(sys.argv[1]))
with home.own("make run"), store.serve(home, int(sys.argv[2])):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(home, port):
    """Another process that owns the directory and serves from it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.path), str(port)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.communicate()
    processes.end(home.leftovers())


def test_objects_outlive_the_server(home, port):
    with home.own("a test"), store.serve(home, port) as server:
        server.client().put_object(Bucket=store.BUCKET, Key="a/b", Body=b"kept", Metadata={"sha256": "1"})
    assert not store.serves(server.endpoint)
    with home.own("a test"), store.serve(home, port) as server:
        found = server.client().get_object(Bucket=store.BUCKET, Key="a/b")
        assert (found["Body"].read(), found["Metadata"]) == (b"kept", {"sha256": "1"})


def test_nothing_listens_beyond_loopback(home, port):
    with home.own("a test"), store.serve(home, port):
        (server,) = home.leftovers()
        listening = {row.laddr for row in server.net_connections("tcp") if row.status == psutil.CONN_LISTEN}
    assert listening == {(store.HOST, port)}


def test_a_used_port_is_named_with_the_way_to_another(home):
    with socket.socket() as taken:
        taken.bind((store.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"Port {port} .* is in use.*S3_PORT={port + 1}"):
            store.check_port(port, "S3_PORT")


def test_a_second_owner_learns_who_the_first_is(home, other):
    expected = rf"in use by make run, process {other.pid}, since"
    with pytest.raises(ConfigError, match=expected), home.own("make up"):
        pytest.fail("two owners at once")
    assert home.holder_process().pid == other.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_server_too(home, other, number):
    started = home.leftovers()
    assert len(started) == 1, "the server"
    other.send_signal(number)
    other.wait(30)
    assert not any(process.is_running() for process in started)
    assert home.holder() is None


def test_a_killed_owner_leaves_no_lock_and_its_server_ends_with_it(home, port, other):
    started = home.leftovers()
    other.kill()
    assert psutil.wait_procs(started, timeout=30)[1] == []
    with home.own("the next") as left, store.serve(home, port):
        assert left == []


def test_a_server_that_does_not_come_up_shows_its_log(home):
    code = "print('no such module'); raise SystemExit(3)"
    part = children.Part(name="s3", command=[sys.executable, "-c", code], environment={}, grace_s=1)
    child = children.start(home, part)
    child.process.wait(30)
    with pytest.raises(ConfigError, match=r"s3 ended with status 3.*\nno such module"):
        children.wait([child], lambda: False, 30, "no answer")
    children.stop(child)


GOES_ON = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("goes on", flush=True), sys.exit()))
print("up", flush=True)
signal.pause()
"""


def test_a_run_that_a_killed_owner_left_is_not_asked_but_ended(home):
    left = subprocess.Popen(
        [sys.executable, "-c", GOES_ON, "local.dag_run"],
        env=home.child_environment({}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert left.stdout.readline() == "up\n"
    with home.own("the next"):
        assert left.stdout.read() == ""
    left.communicate()
