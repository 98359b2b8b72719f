"""Planes of symbols that are asked for at the same time are decoded together.

::

    streams of one read ─► planes ─ when all have asked ─► one call of the kernel, without the GIL ─► symbols

What a read brings of several streams is taken up by a task for each, and all of them come here in the same turn of the
event loop. Their next frames, which may be coded against these, come in the turn behind it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import CodedPlane, decode_planes
from narrows.contract.errors import FrameRefused
from orchestrator.dispatch.workers import Workers

_MOST_SYMBOLS = 9 << 15
"""Of one call: eight planes of the demo's, and a millisecond in which the event loop does nothing else."""
Symbols = NDArray[np.int8]


class TimedPlane(NamedTuple):
    """A plane's symbols ``(C, h, w)`` int8, their digest, and how long they took: a share of their call."""

    symbols: Symbols
    digest: int
    took_s: float


class _Asked(NamedTuple):
    plane: CodedPlane
    answer: asyncio.Future[TimedPlane]


class SymbolDecoding:
    """Decodes small planes in the event loop, as many at once as are small together; a large one in the pool."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._asked: list[_Asked] = []

    async def decode(self, plane: CodedPlane, *, alone: bool = False) -> TimedPlane:
        """A plane's symbols; ``alone`` for what may end this process, and shall not be blamed on others.

        Raises:
            FrameRefused: as :func:`narrows.contract.codec.decode_symbols`, by the same names.
        """
        if alone or not self._workers.symbols_at_once(math.prod(plane.shape)):
            (found,) = await self._workers.on_symbols(math.prod(plane.shape), lambda: _decoded([plane]))
            if isinstance(found, Exception):
                raise found
            return found
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._decode_asked)
        self._asked.append(_Asked(plane, loop.create_future()))
        return await self._asked[-1].answer

    def _decode_asked(self) -> None:
        """Those that were asked for, alike beside alike; what is too much for one call has the next turn."""
        asked, self._asked = self._asked, []
        symbols = 0
        for place, each in enumerate(asked):
            symbols += math.prod(each.plane.shape)
            if symbols > _MOST_SYMBOLS and place:
                asked, self._asked = asked[:place], asked[place:]
                asyncio.get_running_loop().call_soon(self._decode_asked)
                break
        self._answer(sorted(asked, key=_kind))

    def _answer(self, asked: list[_Asked]) -> None:
        found: Sequence[TimedPlane | Exception]
        try:
            found = _decoded([each.plane for each in asked])
        except Exception as error:  # noqa: BLE001 - the outermost point: each of those that wait is told
            found = [error] * len(asked)
        for each, plane in zip(asked, found, strict=True):
            if each.answer.done():  # its stream was given up meanwhile
                continue
            if isinstance(plane, Exception):
                each.answer.set_exception(plane)
            else:
                each.answer.set_result(plane)


def _decoded(planes: Sequence[CodedPlane]) -> list[TimedPlane | FrameRefused]:
    begun_s = time.monotonic()
    found = decode_planes(planes)
    took_s = (time.monotonic() - begun_s) / len(planes)
    return [each if isinstance(each, FrameRefused) else TimedPlane(*each, took_s) for each in found]


def _kind(asked: _Asked) -> tuple[int, int, bool]:
    """Equal for planes that the kernel decodes two at a time."""
    plane = asked.plane
    return id(plane.tables), plane.level, plane.memory is not None
