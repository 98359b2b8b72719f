"""Progress with the time left, where a training counts steps and not epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Say = Callable[[str], None]
_EVERY_S = 15.0


def rounds(name: str, items: Sequence[Item], say: Say, done: int = 0) -> Iterator[Item]:
    """Yield the items after the first ``done``, and say every 15 s how far it is and how long it will take."""
    began = told = time.monotonic()
    for index, item in enumerate(items[done:], 1):
        yield item
        now = time.monotonic()
        if now - told > _EVERY_S or index == len(items) - done:
            told = now
            left = (now - began) / index * (len(items) - done - index)
            say(f"{name}: {done + index}/{len(items)}, about {left:.0f} s left")
