"""How warm the board is, where ``/sys`` says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_ZONES = Path("/sys/class/thermal")
_PERIOD_S = 5.0


class Thermometer:
    """The warmest zone, read at most every five seconds; ``None`` where the board has none."""

    def __init__(self, monotonic_s: Callable[[], float], zones: Path = _ZONES) -> None:
        self._monotonic_s = monotonic_s
        self._zones = sorted(zones.glob("thermal_zone*/temp"))
        self._due_s = monotonic_s()
        self._celsius: float | None = None

    def read_c(self) -> float | None:
        """Degrees Celsius."""
        now_s = self._monotonic_s()
        if self._zones and now_s >= self._due_s:
            self._due_s = now_s + _PERIOD_S
            self._celsius = max((c for zone in self._zones if (c := _celsius(zone)) is not None), default=None)
        return self._celsius


def _celsius(zone: Path) -> float | None:
    """A zone that is switched off cannot be read, and says nothing."""
    try:
        return int(zone.read_text()) / 1000
    except (OSError, ValueError):
        return None
