"""How long a batch takes, so that a frame is not sent on a way that it cannot end in time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ServiceTime:
    """A running mean and mean deviation, as TCP keeps them of its round trips (Jacobson, SIGCOMM 1988)."""

    mean_s: float = 0.0
    deviation_s: float = 0.0
    _known: bool = False

    @property
    def expected_s(self) -> float:
        """What few batches exceed; 0 before the first."""
        return self.mean_s + 2 * self.deviation_s

    def observe(self, took_s: float) -> None:
        """One batch took so long."""
        if not self._known:
            self.mean_s, self.deviation_s, self._known = took_s, took_s / 2, True
            return
        error_s = took_s - self.mean_s
        self.mean_s += error_s / 8
        self.deviation_s += (abs(error_s) - self.deviation_s) / 4
