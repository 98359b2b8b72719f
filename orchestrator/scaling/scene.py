"""What one decision is made from, with the few numbers that several rules need."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from orchestrator.scaling import demand
from orchestrator.scaling.gain import capacity, learned
from orchestrator.scaling.margin import Margin
from orchestrator.scaling.settings import PolicySettings
from orchestrator.scaling.signals import Signals
from orchestrator.scaling.state import PolicyState


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment.

    Attributes:
        rates: frames/s of one server by its instances, as far as learned.
        offered, ahead: frames/s now, and when a server asked for now is ready; ``None``: not known.
    """

    signals: Signals
    state: PolicyState
    settings: PolicySettings
    now_s: float
    rates: dict[int, float]
    offered: float | None
    ahead: float

    @classmethod
    def of(cls, signals: Signals, state: PolicyState, settings: PolicySettings, now_s: float) -> Scene:
        """Take the moment's numbers, leaving out those that mean nothing."""
        rates = learned(signals.server_frames_per_s)
        if not _known(signals):
            return cls(signals, state, settings, now_s, rates, None, 0.0)
        offered = demand.offered_now(state.offered, settings.smoothing_s, settings.jump)
        slope = demand.slope_per_s(state.offered, settings.trend_s, settings.jump)
        ahead = min(
            offered + slope * (settings.startup_s + settings.smoothing_s / 2), offered * (1 + settings.trend_limit)
        )
        return cls(signals, state, settings, now_s, rates, offered, ahead)

    @property
    def work(self) -> bool:
        """Something is offered, or waits, or will be offered by streams that are there."""
        signals = self.signals
        return signals.streams > 0 or signals.backlog_frames > 0 or (_known(signals) and signals.frames_per_s > 0)

    @property
    def troubled(self) -> bool:
        """Frames wait too long or end late. A signal that is not a number says nothing."""
        return self.signals.backlog_age_s > self.settings.max_age_s or (
            self.signals.late_ratio > self.settings.max_late_ratio
        )

    @property
    def window_s(self) -> float:
        """The window before servers go."""
        patience, settings = self.state.patience, self.settings
        return max(settings.stabilisation_s, settings.first_stabilisation_s if patience is None else patience.window_s)

    @property
    def aim(self) -> float:
        """The load that is aimed at."""
        settings, margin = self.settings, self.state.margin
        return min(settings.target_load, settings.first_load if margin is None else margin.load)

    @property
    def late(self) -> bool:
        """More realtime frames end late than the SLO allows, and no dispatcher is to blame."""
        settings, signals = self.settings, self.signals
        return signals.late_ratio > settings.max_late_ratio and not signals.dispatcher_saturation >= settings.saturated

    def rate(self, instances: int) -> float | None:
        """Frames/s of a server with so many instances."""
        return capacity(self.rates, instances)

    def load(self, servers: int, instances: int) -> float:
        """Offered work over the capacity of so many; infinite without any."""
        rate = self.rate(instances)
        if self.offered is None or rate is None or servers < 1:
            return math.inf
        return self.offered / (rate * servers)


def observe(signals: Signals, state: PolicyState, settings: PolicySettings, now_s: float) -> PolicyState:
    """The state with this moment's load and idleness in it."""
    known, offered = _known(signals), signals.frames_per_s
    span_s = max(settings.trend_s, settings.smoothing_s)
    samples = demand.note(state.offered, offered, span_s, now_s) if known else state.offered
    idle = known and offered == 0 and signals.streams <= 0 and signals.backlog_frames <= 0
    since_s = None if not idle else now_s if state.idle_since_s is None else state.idle_since_s
    return replace(state, offered=samples, idle_since_s=since_s)


def learn_margin(scene: Scene) -> PolicyState:
    """The state with what this moment says of the load that may be aimed at."""
    fleet, margin = scene.signals.fleet, scene.state.margin or Margin(scene.aim, scene.now_s)
    load = scene.load(fleet.ready, max(1, fleet.instances))
    if not math.isfinite(load):
        return scene.state
    return replace(scene.state, margin=margin.note(load, scene.settings, scene.now_s, late=scene.late))


def _known(signals: Signals) -> bool:
    return math.isfinite(signals.frames_per_s) and signals.frames_per_s >= 0
