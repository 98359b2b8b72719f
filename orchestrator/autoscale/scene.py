"""What one decision is made from, with the few numbers that several rules need."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from orchestrator.autoscale import demand
from orchestrator.autoscale.gain import capacity, learned
from orchestrator.autoscale.settings import PolicySettings
from orchestrator.autoscale.signals import Signals
from orchestrator.autoscale.state import State


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment.

    Attributes:
        rates: frames/s of one server by its instances, as far as learned.
        offered, ahead: frames/s now, and when a server asked for now is ready; ``None``: not known.
    """

    signals: Signals
    state: State
    settings: PolicySettings
    now_s: float
    rates: dict[int, float]
    offered: float | None
    ahead: float

    @classmethod
    def of(cls, signals: Signals, state: State, settings: PolicySettings, now_s: float) -> Scene:
        """Take the moment's numbers, leaving out those that mean nothing."""
        offered = signals.frames_per_s
        if not math.isfinite(offered) or offered < 0:
            return cls(signals, state, settings, now_s, learned(signals.server_frames_per_s), None, 0.0)
        ahead = demand.look_ahead(state.offered, settings.trend_s, settings.startup_s, settings.trend_limit)
        return cls(signals, state, settings, now_s, learned(signals.server_frames_per_s), offered, ahead)

    @property
    def work(self) -> bool:
        """Something is offered, or waits, or will be offered by streams that are there."""
        return self.signals.streams > 0 or self.signals.backlog_frames > 0 or bool(self.offered)

    @property
    def troubled(self) -> bool:
        """Frames wait too long or end late. A signal that is not a number says nothing."""
        return self.signals.backlog_age_s > self.settings.max_age_s or (
            self.signals.late_ratio > self.settings.max_late_ratio
        )

    @property
    def ceiling(self) -> int:
        """The most servers that there may be."""
        slots = self.signals.fleet.slots
        return self.settings.max_servers if slots is None else max(0, min(self.settings.max_servers, slots))

    def rate(self, instances: int) -> float | None:
        """Frames/s of a server with so many instances."""
        return capacity(self.rates, instances)

    def load(self, servers: int, instances: int) -> float:
        """Offered work over the capacity of so many; infinite without any."""
        rate = self.rate(instances)
        if self.offered is None or rate is None or servers < 1:
            return math.inf
        return self.offered / (rate * servers)


def observe(signals: Signals, state: State, settings: PolicySettings, now_s: float) -> State:
    """The state with this moment's load and idleness in it."""
    offered = signals.frames_per_s
    known = math.isfinite(offered) and offered >= 0
    samples = demand.note(state.offered, offered, settings.trend_s, now_s) if known else state.offered
    idle = known and offered == 0 and signals.streams <= 0 and signals.backlog_frames <= 0
    since_s = None if not idle else now_s if state.idle_since_s is None else state.idle_since_s
    return replace(state, offered=samples, idle_since_s=since_s)
