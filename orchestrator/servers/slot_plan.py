"""Which slots change so that a host has as many servers as are wanted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto


class SlotPhase(Enum):
    """Where a slot is::

    FREE ── start ──► STARTING ── ready ──► READY ◄── died, started again ──► DOWN
      ▲                  │ failed             │ ▲
      │                  ▼                    │ └─ resume ─┐
      └──── later ── FAILED          drain ── └──────► DRAINING ── idle ──► STOPPING ──► FREE
    """

    FREE = auto()
    STARTING = auto()
    FAILED = auto()
    READY = auto()
    DOWN = auto()
    DRAINING = auto()
    STOPPING = auto()


COMING = (SlotPhase.READY, SlotPhase.DOWN, SlotPhase.STARTING, SlotPhase.FAILED)
_WORTH = {
    phase: worth for worth, phase in enumerate((SlotPhase.FAILED, SlotPhase.STARTING, SlotPhase.DOWN, SlotPhase.READY))
}


@dataclass(frozen=True, slots=True)
class Change:
    """Slots, by number, to start a server in, to take back from draining, and to drain."""

    start: tuple[int, ...] = ()
    resume: tuple[int, ...] = ()
    drain: tuple[int, ...] = ()


def plan(slots: Sequence[SlotPhase], target: int) -> Change:
    """What to change so that ``target`` slots have a server that works or comes; as many as there are at most.

    A server that drains is taken back before another is started; those that do not work yet go before those that do.
    """
    coming = [i for i, phase in enumerate(slots) if phase in COMING]
    missing = min(target, len(slots)) - len(coming)
    if missing < 0:
        worst_first = sorted(coming, key=lambda i: (_WORTH[slots[i]], -i))
        return Change(drain=tuple(worst_first[:-missing]))
    draining = [i for i, phase in enumerate(slots) if phase is SlotPhase.DRAINING]
    free = [i for i, phase in enumerate(slots) if phase is SlotPhase.FREE]
    resume = tuple(draining[:missing])
    return Change(start=tuple(free[: missing - len(resume)]), resume=resume)
