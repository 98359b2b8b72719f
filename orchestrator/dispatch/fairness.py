"""Which waiting frame goes into the next batch: shares by weight, order within a stream.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) with cost 1 a frame: a stream's virtual time grows by
1/weight for each frame taken, and the smallest goes first. A stream that was silent starts at the present
virtual time, so that silence saves up nothing.

A batch cannot be interrupted, so whoever comes next waits for it. A stream that alone has frames waiting may
therefore fill batches only as far as that costs the next one little (``lone``), unless no other stream is known.
Even so, whoever comes next waits for the rest of a batch where it would have found the decoder idle. So a stream that
floods may be made to rest between its batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")
_SILENT_ROUNDS = 16
_LONGER = 0.25
_LEAST_WEIGHT = 1e-3
"""Less counts as this: frames of next to no weight would move the virtual time until its steps are rounded away."""
_SPARE = 64


def _keep(_: object) -> bool:
    return False


@dataclass(slots=True)
class _Line(Generic[T]):
    weight: float
    virtual: float
    turn: int = 0
    last_push: int = 0
    in_flight: int = 0
    waiting: deque[T] = field(default_factory=deque)


class FairPicker(Generic[T]):
    """Frames that wait, by stream. What was picked is in flight until :meth:`done`.

    Attributes:
        lone: how many frames a stream may have in flight while only it has frames waiting and others are known; if more
            than one of it waits, those of all streams count.
        resting: whether a stream that alone has more than one frame waiting must let the decoder idle.
    """

    def __init__(self) -> None:
        self.lone = 1
        self.resting = False
        self._lines: dict[str, _Line[T]] = {}
        self._waiting: dict[str, _Line[T]] = {}
        self._order: list[tuple[float, int, str]] = []
        self._turns = 0
        self._virtual = 0.0
        self._in_flight = 0
        self._pushes = 0
        self._tidied_at = 0

    def __len__(self) -> int:
        """How many wait."""
        return sum(len(line.waiting) for line in self._waiting.values())

    @property
    def ready(self) -> bool:
        """Whether a frame could be picked now."""
        return len(self._waiting) > 1 or any(not self._lone_full(line) for line in self._waiting.values())

    def first_in_line(self) -> Iterator[T]:
        """The frame of each stream that waits longest."""
        return (line.waiting[0] for line in self._waiting.values() if line.waiting)

    @property
    def streams_known(self) -> int:
        """How many streams had a frame here lately."""
        return len(self._lines)

    def push(self, stream: str, weight: float, item: T) -> None:
        """Let a frame wait behind those of its stream."""
        line = self._lines.get(stream)
        if line is None:
            line = self._lines[stream] = _Line(weight, self._virtual)
        self._pushes += 1
        line.weight, line.last_push = weight, self._pushes
        if not line.waiting:
            line.virtual = max(line.virtual, self._virtual)
            self._begin_to_wait(stream, line)
        line.waiting.append(item)

    def put_back(self, picked: Iterable[tuple[str, T]]) -> None:
        """Return what a batch could not do, before everything else of its streams."""
        for stream, item in reversed(list(picked)):
            line = self._lines.setdefault(stream, _Line(1.0, self._virtual))
            if not line.waiting:
                self._begin_to_wait(stream, line)
            line.waiting.appendleft(item)

    def pick(self, most: int, drop: Callable[[T], bool] = _keep) -> list[tuple[str, T]]:
        """Take up to ``most`` frames, fairly.

        Args:
            most: as many.
            drop: whether a frame shall not be decoded after all, and was answered for that.
        """
        picked: list[tuple[str, T]] = []
        while self._waiting and len(picked) < most:
            name, line = self._next_line()
            if self._lone_full(line):
                break
            heappop(self._order)
            item = line.waiting.popleft()
            if not drop(item):
                self._virtual = max(self._virtual, line.virtual)
                line.virtual += 1.0 / max(line.weight, _LEAST_WEIGHT)
                line.in_flight += 1
                self._in_flight += 1
                picked.append((name, item))
            if line.waiting:
                heappush(self._order, (line.virtual, line.turn, name))
            else:
                del self._waiting[name]
        return picked

    def done(self, streams: Iterable[str]) -> None:
        """These streams' frames are no longer in flight, a name for each frame."""
        for name in streams:
            if name in self._lines:
                self._lines[name].in_flight -= 1
            self._in_flight -= 1

    def _begin_to_wait(self, stream: str, line: _Line[T]) -> None:
        self._turns += 1
        line.turn = self._turns
        self._waiting[stream] = line
        heappush(self._order, (line.virtual, line.turn, stream))
        if len(self._order) > 2 * len(self._waiting) + _SPARE:
            self._order = [(each.virtual, each.turn, name) for name, each in self._waiting.items()]
            heapify(self._order)

    def _next_line(self) -> tuple[str, _Line[T]]:
        """The line with the smallest virtual time, the one that waits the longest among equals. One waits.

        Places of lines that waited once and were emptied since lie in the heap until they come to its top.
        """
        while True:
            virtual, turn, name = self._order[0]
            line = self._waiting.get(name)
            if line is not None and (line.virtual, line.turn) == (virtual, turn):
                return name, line
            heappop(self._order)

    def take_out(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Take out what shall not be decoded after all; streams that fell silent are forgotten.

        Only the front of each line is looked at, for the oldest frame of a stream is the first to be of no use.
        """
        out: list[T] = []
        for name, line in list(self._waiting.items()):
            while line.waiting and unwanted(line.waiting[0]):
                out.append(line.waiting.popleft())
            if not line.waiting:
                del self._waiting[name]
        if self._pushes - self._tidied_at >= len(self._lines):
            self._forget_silent()
        return out

    def _forget_silent(self) -> None:
        self._tidied_at, longest = self._pushes, _SILENT_ROUNDS * len(self._lines)
        for name, line in list(self._lines.items()):
            idle = not (line.waiting or line.in_flight) and line.virtual <= self._virtual
            if idle and self._pushes - line.last_push > longest:
                del self._lines[name]

    def _lone_full(self, line: _Line[T]) -> bool:
        if len(self._waiting) > 1 or len(self._lines) == 1:
            return False
        if len(line.waiting) > 1:
            return self.resting or self._in_flight >= self.lone
        return line.in_flight >= self.lone


def lone_frames(base_s: float, per_frame_s: float) -> int:
    """How many frames a batch may have so that it takes at most a quarter longer than a batch of one; at least 1.

    ``base_s + per_frame_s * n`` is the cost of a batch of ``n``; NaN is not known yet.
    """
    if not (base_s >= 0 and per_frame_s > 0):
        return 1
    return 1 + int(_LONGER * (base_s + per_frame_s) / per_frame_s)
