"""Whether a stream lives, told from when its frames came and ended. Pure: the clock is the caller's."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.page.redis_view import Pulse

SILENT_S = 2.5
"""A stream without a frame for so long is dead; with the rounds of page and browser that shows within 5 s."""

_INTERVALS = 2.5
_LONGEST_SILENT_S = 30.0
_STALLED_S = 4.0
_NO_MASKS_S = 10.0
_RATE_S = 8.0
_NEW_SHARE = 0.5


class StreamState(StrEnum):
    """How a stream stands."""

    STALLED = "stalled"
    """Its frames come, and none has ended for some seconds."""
    NO_MASKS = "no_masks"
    """Its frames come and end, and none of them in a mask for some seconds: all are skipped or refused."""
    DEAD = "dead"
    """Its frames came, and come no longer."""
    LIVE = "live"
    """Its frames come and end."""
    NEW = "new"
    """It is registered and has never sent a frame."""


@dataclass
class StreamActivity:
    """One stream's recent past, fed once a second with its pulse.

    Slower cameras than one frame a second are given two and a half of their own intervals of silence, 30 s at most.
    """

    pulse: Pulse | None = None
    _interval_s: float | None = None
    _ended_at_ms: float = 0.0
    _masked: tuple[float, int] = (0.0, 0)
    _steps: deque[tuple[float, int, int, int]] = field(default_factory=deque)

    def take(self, pulse: Pulse, now_ms: float) -> None:
        """A pulse, read at ``now_ms`` of the server's clock."""
        before = self.pulse
        if before is not None and pulse.arrived > before.arrived and before.last_ms:
            self._learn_interval((pulse.last_ms - before.last_ms) / 1000 / (pulse.arrived - before.arrived))
        if before is None or pulse.ended != before.ended or pulse.waiting == 0:
            self._ended_at_ms = now_ms
        if before is None or pulse.masks != before.masks:
            self._masked = (now_ms, pulse.arrived)
        self.pulse = pulse
        self._steps.append((now_ms, pulse.arrived, pulse.masks, pulse.skipped))
        while self._steps[0][0] < now_ms - _RATE_S * 1000:
            self._steps.popleft()

    def state(self, now_ms: float) -> StreamState:
        """How it stands at ``now_ms``."""
        silent_s = self.silent_s(now_ms)
        if silent_s is None:
            return StreamState.NEW
        if silent_s > self.allowed_silence_s:
            return StreamState.DEAD
        stands_still = now_ms - self._ended_at_ms > _STALLED_S * 1000
        if stands_still and self.pulse is not None and self.pulse.waiting:
            return StreamState.STALLED
        return StreamState.NO_MASKS if self._sends_in_vain(now_ms) else StreamState.LIVE

    def mask_age_s(self, now_ms: float) -> float | None:
        """Seconds since it got a mask, or since it is watched, if that is less; ``None`` if it never got one."""
        if self.pulse is None or self.pulse.masks == 0:
            return None
        return max(0.0, (now_ms - self._masked[0]) / 1000)

    def _sends_in_vain(self, now_ms: float) -> bool:
        since_ms, arrived = self._masked
        patience_s = max(_NO_MASKS_S, 2 * self.allowed_silence_s)
        return self.pulse is not None and self.pulse.arrived > arrived and now_ms - since_ms > patience_s * 1000

    def silent_s(self, now_ms: float) -> float | None:
        """Seconds since its last frame came; ``None`` if there never was one."""
        if self.pulse is None or self.pulse.last_ms == 0:
            return None
        return max(0.0, (now_ms - self.pulse.last_ms) / 1000)

    @property
    def allowed_silence_s(self) -> float:
        """How long it may be silent before it is called dead."""
        return max(SILENT_S, min(_INTERVALS * (self._interval_s or 0.0), _LONGEST_SILENT_S))

    @property
    def frames_per_s(self) -> float:
        """Frames that came, a second, lately."""
        return self._rate(1)

    @property
    def masks_per_s(self) -> float:
        """Masks a second, lately."""
        return self._rate(2)

    @property
    def skipped_per_s(self) -> float:
        """Frames that were skipped, a second, lately."""
        return self._rate(3)

    def _rate(self, which: int) -> float:
        if len(self._steps) < 2:
            return 0.0
        first, last = self._steps[0], self._steps[-1]
        return max(0.0, (last[which] - first[which]) / ((last[0] - first[0]) / 1000))

    def _learn_interval(self, interval_s: float) -> None:
        if interval_s > _LONGEST_SILENT_S / _INTERVALS:
            return  # it was away, and that is not its pace
        if self._interval_s is None:
            self._interval_s = interval_s
        else:
            self._interval_s += _NEW_SHARE * (interval_s - self._interval_s)
