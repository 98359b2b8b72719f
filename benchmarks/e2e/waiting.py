"""What every end-to-end run does with what it drives: wait until something holds, or look at it all the while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StackError(Exception):
    """What is driven did not do what it should."""


def until(holds: Callable[[], bool], what: str | Callable[[], str], most_s: float, *, look_s: float = 1.0) -> float:
    """Wait until it holds, looking every ``look_s``; answers how long it took, in seconds.

    Raises:
        StackError: it does not in time.
    """
    begun_s = time.monotonic()
    while not holds():
        if time.monotonic() - begun_s > most_s:
            raise StackError(f"{what if isinstance(what, str) else what()}: not within {most_s:.0f} s")
        time.sleep(look_s)
    return time.monotonic() - begun_s


@contextmanager
def counted(count: Callable[[], int], *, look_s: float = 1.0) -> Iterator[list[int]]:
    """Count at once and every ``look_s`` in a thread of its own, until the context is left."""
    counts, over = [count()], threading.Event()

    def look() -> None:
        while not over.wait(look_s):
            counts.append(count())

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield counts
    finally:
        over.set()
        watching.join()
