"""What streams ask of one bundle: frames offered each second, and what reading one costs here; by rate level."""

from __future__ import annotations

import time
from collections.abc import Callable

from narrows.contract.records.report import BundleReport
from orchestrator.inference.rate import Rate

_HALF_LIFE_S = 2.0
_GAIN = 0.05


class Demand:
    """Counted where frames are admitted; read once a second.

    Attributes:
        withheld: what cameras would send unthrottled over what they send, at least 1.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.withheld = 1.0
        self._clock = clock
        self._read_at = clock()
        self._offered: dict[int, Rate] = {}
        self._decode_s: dict[int, float] = {}

    def offered(self, level: int) -> None:
        """One more frame wants the decoder, whatever becomes of it."""
        rate = self._offered.get(level)
        if rate is None:
            rate = self._offered[level] = Rate(_HALF_LIFE_S)
        rate.observe(1)

    def took(self, level: int, seconds: float) -> None:
        """A frame's symbols were decoded and its mask was packed in so long."""
        before_s = self._decode_s.get(level, seconds)
        self._decode_s[level] = before_s + _GAIN * (seconds - before_s)

    def read(self) -> BundleReport:
        """What would be offered if no camera were throttled, and the running means."""
        now = self._clock()
        elapsed_s, self._read_at = max(now - self._read_at, 1e-3), now
        rates = {str(level): round(self.withheld * rate.take(elapsed_s), 3) for level, rate in self._offered.items()}
        return BundleReport(rates, {str(level): seconds for level, seconds in self._decode_s.items()})
