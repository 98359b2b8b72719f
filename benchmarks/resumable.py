"""How a bench ends: by name, or stopped by Ctrl-C, and to be gone on with where it keeps what it has done."""

from __future__ import annotations

import sys
from collections.abc import Callable

from narrows.contract.errors import NarrowsError

STOPPED = 130


def resumable(name: str, work: Callable[[], None]) -> int:
    """Do what keeps what it has done; the exit status, with a line on stderr where it is not 0."""
    return named(name, work, stopped="stopped; the same command goes on")


def named(name: str, work: Callable[[], None], *, stopped: str = "stopped; nothing is kept") -> int:
    """Do what begins anew each time; as :func:`resumable` else."""
    try:
        work()
    except NarrowsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: {stopped}", file=sys.stderr)
        return STOPPED
    return 0
