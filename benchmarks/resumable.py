"""How a bench ends that keeps what it has done: by name, or stopped by Ctrl-C and to be gone on with."""

from __future__ import annotations

import sys
from collections.abc import Callable

from narrows.contract.errors import NarrowsError

STOPPED = 130


def resumable(name: str, work: Callable[[], None]) -> int:
    """Do it; the exit status, with a line on stderr where it is not 0."""
    try:
        work()
    except NarrowsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped; the same command goes on", file=sys.stderr)
        return STOPPED
    return 0
