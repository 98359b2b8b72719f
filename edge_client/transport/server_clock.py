"""Redis's clock as this machine sees it, whatever this machine's own clock says.

A frame's latency runs from its capture, here, to its Redis entry id, there. The camera's wall clock may be wrong and
may jump, so it is not used: what is estimated is the offset between the *monotonic* clock and the server's, from the
answers to ``TIME``, each known to half its round trip (Cristian, "Probabilistic clock synchronization", 1989). Of the
last eight the one with the least error counts, as in NTP's clock filter, and its error grows with its age (RFC 5905).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

_LOG = structlog.get_logger("edge.clock")
_SAMPLES = 8
_DRIFT = 15e-6
_TICK_S = 0.5e-3
_WRONG_S = 1.0
_SET_S = 0.128
"""A clock that is off by less is slewed, not set: ntpd's step threshold."""
_EAGER_PERIOD_S, _PERIOD_S = 1.0, 16.0


class Estimate(NamedTuple):
    """A time in seconds, and how far it may be off either way."""

    value_s: float
    error_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to ``TIME``: server's clock less monotonic clock, and half the round trip."""

    at_s: float
    offset_s: float
    error_s: float

    @classmethod
    def of(cls, asked_s: float, server_s: float, answered_s: float) -> Sample:
        """From when it was asked for and answered, and what the server's clock said in between."""
        return cls(answered_s, server_s - (asked_s + answered_s) / 2, (answered_s - asked_s) / 2)

    def error_at(self, now_s: float) -> float:
        """The error, grown by what two clocks may drift apart."""
        return self.error_s + _DRIFT * (now_s - self.at_s)

    def contradicts(self, other: Sample, now_s: float) -> bool:
        """Whether both cannot be true of one clock, unless it was set in between."""
        return abs(self.offset_s - other.offset_s) > self.error_at(now_s) + other.error_at(now_s) + _SET_S


class ServerClockEstimate:
    """Says when to ask; answers with estimates. One thread tells it what was answered, any may read."""

    def __init__(self, monotonic_s: Callable[[], float], unix_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._unix_s = unix_s
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self._before: Sample | None = None
        self._due_s = self._asked_s = monotonic_s()
        self._forbidden = False
        self._wrong = False

    def due(self) -> bool:
        """Whether it is time to ask; asking commits to it."""
        now_s = self._monotonic_s()
        if self._forbidden or now_s < self._due_s:
            return False
        self._asked_s = now_s
        self._due_s = now_s + (_EAGER_PERIOD_S if len(self._samples) < _SAMPLES else _PERIOD_S)
        return True

    def answered(self, asked_s: float, server_s: float, answered_s: float) -> None:
        """The server said what time it is."""
        sample, best = Sample.of(asked_s, server_s, answered_s), self._best(answered_s)
        if best is not None and sample.contradicts(best, answered_s):
            set_by_s = round(sample.offset_s - best.offset_s, 1)
            _LOG.warning("server_clock_set", by_s=set_by_s, remedy="let NTP slew Redis's clock")
            self._samples.clear()
        self._samples.append(sample)
        self._warn(self.local_offset())

    def refused(self) -> None:
        """This user may not ask: it is told of once, and asks no more."""
        self._forbidden = True
        _LOG.warning("clock_unknown", remedy="allow this user TIME, or no latency is measured")

    def forget(self) -> None:
        """Another server may answer from now on."""
        self._before = self._best(self._monotonic_s()) or self._before
        self._samples.clear()
        self._due_s = self._monotonic_s()

    def local_offset(self) -> Estimate | None:
        """How far this machine's wall clock is ahead of the server's; ``None``: not known."""
        now_s = self._monotonic_s()
        best = self._best(now_s)
        return None if best is None else Estimate(self._unix_s() - now_s - best.offset_s, best.error_at(now_s))

    def last_offset_s(self) -> float | None:
        """As :meth:`local_offset`, and while nobody answers as the server's clock went before.

        What expires by that clock does not expire, or live on, because the link is away and this machine's is wrong.
        """
        now_s = self._monotonic_s()
        best = self._best(now_s) or self._before
        return None if best is None else self._unix_s() - now_s - best.offset_s

    def latency(self, taken_s: float | None, entry_ms: int) -> Estimate | None:
        """From a capture, by the monotonic clock, to an entry id of an answer that has come; ``None``: not known.

        An id from before the capture, or from after the answer, says nothing: the server's clock was set. Where it was
        set back, ids stand still until it is there again.
        """
        now_s = self._monotonic_s()
        best = self._best(now_s)
        if best is None or taken_s is None:
            return None
        # an entry id is a whole millisecond, cut off
        latency_s = entry_ms * 1e-3 + _TICK_S - best.offset_s - taken_s
        error_s = best.error_at(now_s) + _TICK_S
        if not -error_s - _SET_S <= latency_s <= now_s - taken_s + error_s + _SET_S:
            self._due_s = min(self._due_s, self._asked_s + _EAGER_PERIOD_S)
            return None
        return Estimate(latency_s, error_s)

    def _warn(self, offset: Estimate | None) -> None:
        wrong = offset is not None and abs(offset.value_s) - offset.error_s > _WRONG_S
        if offset is not None and wrong and not self._wrong:
            seconds, error_s = round(offset.value_s, 1), round(offset.error_s, 3)
            remedy = "set this machine's clock, or let NTP do it: capture times are off by as much"
            _LOG.warning("clock_wrong", ahead_s=seconds, error_s=error_s, remedy=remedy)
        self._wrong = wrong

    def _best(self, now_s: float) -> Sample | None:
        samples = list(self._samples)
        return min(samples, key=lambda sample: sample.error_at(now_s)) if samples else None
