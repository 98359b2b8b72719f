"""What befell a service, by name: one count each time, however often it was tried. What lasts is said again."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.store import ReplyRefused, ReplyTooLarge
from narrows.runtime.reminder import Reminder
from orchestrator.telemetry.metrics import Metrics
from orchestrator.telemetry.pause import PROCESS

_log = structlog.get_logger(__name__)
_SAME_S = 1.0


class Cause(StrEnum):
    """The label ``cause`` of ``narrows_faults_total``; ``docs/faults.md`` says what each means and what to do."""

    TRITON_AWAY = "triton_away"
    TRITON_SERVER_LOST = "triton_server_lost"
    TRITON_MODEL_MISSING = "triton_model_missing"
    TRITON_INSTANCE_LOST = "triton_instance_lost"
    TRITON_HUNG = "triton_hung"
    TRITON_REGIONS_LOST = "triton_regions_lost"
    REDIS_AWAY = "redis_away"
    REDIS_READ_ONLY = "redis_read_only"
    REDIS_FULL = "redis_full"
    REDIS_REFUSES = "redis_refuses"
    INSTALL_DIFFERS = "install_differs"
    REDIS_CLOCK_SET = "redis_clock_set"
    LEASE_LOST = "lease_lost"
    PROCESS_PAUSED = "process_paused"
    KEYS_UNREADABLE = "keys_unreadable"


def cause_of(error: ServiceError) -> Cause:
    """What an error of this store means."""
    if isinstance(error, ReplyRefused):
        return {"READONLY": Cause.REDIS_READ_ONLY, "OOM": Cause.REDIS_FULL}.get(error.code, Cause.REDIS_REFUSES)
    return Cause.REDIS_REFUSES if isinstance(error, ReplyTooLarge) else Cause.REDIS_AWAY


Report = Callable[[Cause, str], None]


_LATE_ANSWERS = frozenset({Cause.REDIS_AWAY, Cause.TRITON_AWAY, Cause.TRITON_HUNG, Cause.TRITON_SERVER_LOST})
"""What a process that stood still would say of others."""


def unreported(_cause: Cause, _detail: str) -> None:
    """Tell nobody: for those who have no metrics."""


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
        self._since_s: dict[Cause, float] = {}
        self._reminders = {cause: Reminder(clock=monotonic) for cause in Cause}
        self._last_s: dict[Cause, float] = {}
        for cause in Cause:
            metrics.faults.labels(cause.value)

    def begin(self, cause: Cause, detail: str) -> None:
        """A fault that lasts: counted when it begins, and said then and now and again until :meth:`end`."""
        if cause in _LATE_ANSWERS and cause not in self._since_s and self._paused():
            return
        due = self._reminders[cause].due(cause)
        if cause not in self._since_s:
            self._since_s[cause] = self._monotonic()
            self._say(cause, detail)
        elif due:
            _log.warning("fault_lasts", cause=cause.value, detail=detail, lasts_s=round(self._lasts_s(cause), 3))

    def end(self, *causes: Cause) -> None:
        """What was there is over; what was not is no matter."""
        for cause in causes:
            if self._reminders[cause].over():
                _log.info("fault_over", cause=cause.value, lasted_s=round(self._lasts_s(cause), 3))
                del self._since_s[cause]

    def happened(self, cause: Cause, detail: str) -> None:
        """A fault that was met and mended; what repeats it within a second belongs to it."""
        if cause in _LATE_ANSWERS and self._paused():
            return
        now_s = self._monotonic()
        if now_s - self._last_s.get(cause, float("-inf")) > _SAME_S:
            self._say(cause, detail)
        self._last_s[cause] = now_s

    def _lasts_s(self, cause: Cause) -> float:
        return self._monotonic() - self._since_s[cause]

    def _say(self, cause: Cause, detail: str) -> None:
        self._metrics.faults.labels(cause.value).inc()
        _log.warning("fault_met", cause=cause.value, detail=detail)
