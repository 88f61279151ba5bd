"""Ends what an owner of `.local` leaves running when it is killed.

The owner holds the other end of the pipe that is this process's standard input. It writes one byte there when all has
ended; the kernel closes the pipe when the owner is killed. Until this process ends, it shares the owner's lock.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .home import Home


def main() -> None:
    """Wait for the owner's end."""
    if not sys.stdin.buffer.read(1):
        Home(Path(sys.argv[1])).clear()


if __name__ == "__main__":
    main()
