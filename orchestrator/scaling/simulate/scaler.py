"""Whoever decides in the simulator: what it may see, and what it answers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from orchestrator.scaling.signals import FleetSignals


@dataclass(frozen=True, slots=True)
class SimulatedLoad:
    """The simulated system at one moment. Sums run from the start, so that anyone can average over a window.

    Attributes:
        now_s: since the trace began.
        streams: that send.
        fleet: the servers.
        offered_frames: sum of the frames that arrived.
        ongoing_frame_s: time integral of the frames that wait or are in a server.
        busy_server_s: time integral of the busy shares of the ready servers: what utilisation is made of.
        ready_server_s: time integral of the ready servers.
        waiting: frames that no server has, now.
        in_flight: frames in servers, now.
        age_s: of the oldest frame that waits.
        realtime_ended, realtime_late: sums of the realtime frames that ended, and of those without a mask in time.
        server_frames_per_s: what was learned of one server's speed by its instances.
    """

    now_s: float
    streams: int
    fleet: FleetSignals
    offered_frames: float
    ongoing_frame_s: float
    busy_server_s: float
    ready_server_s: float
    waiting: float
    in_flight: float
    age_s: float
    realtime_ended: float
    realtime_late: float
    server_frames_per_s: dict[int, float]


@dataclass(frozen=True, slots=True)
class SimulatedTarget:
    """Absolute targets; ``instances`` ``None`` leaves them as they are."""

    servers: int
    instances: int | None = None


class Scaler(Protocol):
    """One policy with its memory. ``interval_s`` is how often it looks."""

    interval_s: float

    def look(self, seen: SimulatedLoad) -> SimulatedTarget:
        """Say what there should be."""
        ...


class WindowMean:
    """The mean over a window of a rate whose running sum is given at each look."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._sums: deque[tuple[float, float]] = deque()

    def note(self, now_s: float, total: float) -> float:
        """The mean since the last look that is at least a window old, or since the first one."""
        self._sums.append((now_s, total))
        while len(self._sums) > 2 and self._sums[1][0] <= now_s - self._window_s:
            self._sums.popleft()
        first_s, first = self._sums[0]
        return (total - first) / (now_s - first_s) if now_s > first_s else 0.0
