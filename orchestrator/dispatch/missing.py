"""What a frame cannot be decoded without, and must be waited for.

Frames are taken up together, and most need nothing but what is here. So decoding is plain functions; one that lacks
something raises :class:`Missing`, which says how it is had, and is called again once it is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Missing(Exception):
    """Something has to be read from Redis first; nothing was changed. ``fetch`` reads it, once."""

    def __init__(self, fetch: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.fetch = fetch


async def when_there(work: Callable[[], T]) -> T:
    """What work answers once nothing is missing for it."""
    while True:
        try:
            return work()
        except Missing as missing:
            await missing.fetch()
