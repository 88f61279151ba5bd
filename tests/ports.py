"""Ports for the servers that tests start as processes."""

import os
import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST = 10_240


def _candidates():
    """Ports that the system gives to no client, in an order of this process's own; none comes twice."""
    end = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else 32_768
    ports = list(range(FIRST, end))
    random.Random(os.getpid()).shuffle(ports)
    return iter(ports)


CANDIDATES = _candidates()


def free_port():
    """A port that nobody listens on, and that no connection will be given before the server has it.

    A port that the system chose for an instant (port 0) may be the near end of somebody's connection a second later.
    """
    for port in CANDIDATES:
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
