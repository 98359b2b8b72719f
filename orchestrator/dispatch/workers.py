"""Where the computing of a frame is done: in the event loop, or in a thread beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")
_INLINE_SYMBOLS, _INLINE_PIXELS = 1 << 17, 1 << 19  # about a millisecond of decoding or packing


class Workers:
    """Does small work at once, for handing it over costs more than it does; large work in the pool."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    async def on_symbols(self, symbols: int, work: Callable[[], T]) -> T:
        """What work on so many symbols answers."""
        return work() if self.symbols_at_once(symbols) else await self._in_thread(work)

    def symbols_at_once(self, symbols: int) -> bool:
        """Whether :meth:`on_symbols` does work on so many symbols in the loop."""
        return symbols <= _INLINE_SYMBOLS

    def at_once(self, pixels: int) -> bool:
        """Whether :meth:`on_pixels` does work on so many pixels in the loop."""
        return pixels <= _INLINE_PIXELS

    async def on_pixels(self, pixels: int, work: Callable[[], T]) -> T:
        """What work on so many pixels answers."""
        return work() if self.at_once(pixels) else await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
