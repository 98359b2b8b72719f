"""Which server a batch goes to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What a choice rests on.

    Attributes:
        room: whether it may have one more batch.
        doubtful: whether a batch failed there a moment ago; others are tried first.
        outstanding: frames that it has of this process.
        instances: decoder instances that share them.
        turn: when it was last chosen; smaller is longer ago.
    """

    @property
    def room(self) -> bool: ...  # noqa: D102
    @property
    def doubtful(self) -> bool: ...  # noqa: D102
    @property
    def outstanding(self) -> int: ...  # noqa: D102
    @property
    def instances(self) -> int: ...  # noqa: D102
    @property
    def turn(self) -> int: ...  # noqa: D102


C = TypeVar("C", bound=Candidate)


def choose(candidates: Iterable[C]) -> C | None:
    """The one with the least outstanding work for each instance, among equals the one that waited longest.

    ``None`` if none has room. A server that fails batches answers faster than any other and would, by its work alone,
    be chosen over and over: so one that is in doubt comes last.
    """
    return min((each for each in candidates if each.room), key=_rank, default=None)


def _rank(each: Candidate) -> tuple[bool, float, int]:
    return each.doubtful, each.outstanding / max(1, each.instances), each.turn
