"""What befell a service, by name: one count each time, however often it was tried. What lasts is said again.

A fault that comes and goes is counted each time. After a few returns it is said as one that lasts: every half minute.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.store import ReplyRefused, ReplyTooLarge
from narrows.runtime.reminder import REMIND_S
from orchestrator.telemetry.metrics import Metrics
from orchestrator.telemetry.pause import PROCESS

_log = structlog.get_logger(__name__)
_SAME_S = 1.0
_FLAP_S = 10.0
"""What is back so soon was not over. Connections are tried anew every second or two, leases lapse after three."""
_RETURNS_SAID = 3


class Cause(StrEnum):
    """The label ``cause`` of ``narrows_faults_total``; ``docs/faults.md`` says what each means and what to do."""

    TRITON_AWAY = "triton_away"
    TRITON_SERVER_LOST = "triton_server_lost"
    TRITON_MODEL_MISSING = "triton_model_missing"
    TRITON_INSTANCE_LOST = "triton_instance_lost"
    TRITON_HUNG = "triton_hung"
    TRITON_REGIONS_LOST = "triton_regions_lost"
    TRITON_ASKED_AGAIN = "triton_asked_again"
    REDIS_AWAY = "redis_away"
    REDIS_READ_ONLY = "redis_read_only"
    REDIS_FULL = "redis_full"
    REDIS_REFUSES = "redis_refuses"
    INSTALL_DIFFERS = "install_differs"
    REDIS_CLOCK_SET = "redis_clock_set"
    LEASE_LOST = "lease_lost"
    PROCESS_PAUSED = "process_paused"
    KEYS_UNREADABLE = "keys_unreadable"


_CAUSES = {"READONLY": Cause.REDIS_READ_ONLY, "OOM": Cause.REDIS_FULL, "AWAY": Cause.REDIS_AWAY}


def cause_of(error: ServiceError) -> Cause:
    """What an error of this store means."""
    if isinstance(error, ReplyRefused):
        return _CAUSES.get(error.code, Cause.REDIS_REFUSES)
    return Cause.REDIS_REFUSES if isinstance(error, ReplyTooLarge) else Cause.REDIS_AWAY


Report = Callable[[Cause, str], None]


_LATE_ANSWERS = frozenset({Cause.REDIS_AWAY, Cause.TRITON_AWAY, Cause.TRITON_HUNG, Cause.TRITON_SERVER_LOST})
"""What a process that stood still would say of others."""


def unreported(_cause: Cause, _detail: str) -> None:
    """Tell nobody: for those who have no metrics."""


@dataclass(slots=True)
class _Known:
    """What is known of one cause.

    Attributes:
        since_s: since when it is present; ``None`` while it is not.
        gone_s: when it was met or ended last.
        said_s: when it was said last; ``told`` is false while it is present again and was not said yet.
        returns: how often it came back since it was said to begin.
    """

    since_s: float | None = None
    gone_s: float = -math.inf
    said_s: float = -math.inf
    told: bool = False
    returns: int = 0


class Faults:
    """Knows which faults are present."""

    def __init__(
        self,
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
        paused: Callable[[], bool] = PROCESS.lately,
    ) -> None:
        """``paused``: whether this process stood still until a moment ago, so that any answer would be late."""
        self._metrics, self._monotonic, self._paused = metrics, monotonic, paused
        self._lasting = {cause: _Known() for cause in Cause}
        self._passing = {cause: _Known() for cause in Cause}
        for cause in Cause:
            metrics.faults.labels(cause.value)

    def begin(self, cause: Cause, detail: str) -> None:
        """A fault that lasts: counted when it begins, and said then and now and again until :meth:`end`."""
        known, now_s = self._lasting[cause], self._monotonic()
        if known.since_s is not None:
            if now_s - known.said_s >= REMIND_S:
                known.told, known.said_s = True, now_s
                _log.warning("fault_lasts", cause=cause.value, detail=detail, lasts_s=round(now_s - known.since_s, 3))
        elif cause not in _LATE_ANSWERS or not self._paused():
            known.since_s = now_s
            self._come(cause, detail, known)

    def end(self, *causes: Cause) -> None:
        """What was there is over; what was not is no matter."""
        for cause in causes:
            known, now_s = self._lasting[cause], self._monotonic()
            if known.since_s is not None:
                if known.told:
                    _log.info("fault_over", cause=cause.value, lasted_s=round(now_s - known.since_s, 3))
                known.since_s, known.gone_s = None, now_s

    def happened(self, cause: Cause, detail: str) -> None:
        """A fault that was met and mended; what repeats it within a second belongs to it."""
        if cause in _LATE_ANSWERS and self._paused():
            return
        known, now_s = self._passing[cause], self._monotonic()
        if now_s - known.gone_s > _SAME_S:
            self._come(cause, detail, known)
        known.gone_s = now_s

    def _come(self, cause: Cause, detail: str, known: _Known) -> None:
        self._metrics.faults.labels(cause.value).inc()
        now_s = self._monotonic()
        known.returns = known.returns + 1 if now_s - known.gone_s < _FLAP_S else 0
        known.told = known.returns <= _RETURNS_SAID or now_s - known.said_s >= REMIND_S
        if not known.told:
            return
        known.said_s = now_s
        if known.returns <= _RETURNS_SAID:
            _log.warning("fault_met", cause=cause.value, detail=detail)
        else:
            _log.warning("fault_recurs", cause=cause.value, detail=detail, returns=known.returns)
