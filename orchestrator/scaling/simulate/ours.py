"""Our policy in the simulator: the very functions that run in production."""

from __future__ import annotations

from orchestrator.scaling.policy import PolicySettings, PolicyState, after_success, decide
from orchestrator.scaling.signals import Orders, Signals
from orchestrator.scaling.simulate.scaler import SimulatedLoad, SimulatedTarget


class Narrows:
    """Looks at what the program would gather, and its orders always succeed."""

    def __init__(self, settings: PolicySettings, interval_s: float = 2.0) -> None:
        self.interval_s = interval_s
        self._settings = settings
        self._state = PolicyState()
        self._last: SimulatedLoad | None = None

    def look(self, seen: SimulatedLoad) -> SimulatedTarget:
        """Decide."""
        decision, state = decide(self._signals(seen), Orders(), self._state, self._settings, seen.now_s)
        self._state = after_success(state, decision.servers, decision.instances)
        return SimulatedTarget(decision.servers, decision.instances)

    def _signals(self, seen: SimulatedLoad) -> Signals:
        last, self._last = self._last, seen
        passed_s = seen.now_s - last.now_s if last else 0.0
        ended = seen.realtime_ended - last.realtime_ended if last else 0.0
        return Signals(
            streams=seen.streams,
            frames_per_s=(seen.offered_frames - last.offered_frames) / passed_s if last and passed_s else float("nan"),
            server_frames_per_s=seen.server_frames_per_s,
            backlog_frames=round(seen.waiting + seen.in_flight),
            backlog_age_s=seen.age_s,
            late_ratio=(seen.realtime_late - last.realtime_late) / ended if last and ended > 0 else 0.0,
            fleet=seen.fleet,
        )
