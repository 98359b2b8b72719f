"""What the policy remembers from one decision to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from orchestrator.scaling.demand import Samples
from orchestrator.scaling.margin import Margin
from orchestrator.scaling.patience import ScaleDownWindow
from orchestrator.scaling.settings import PolicySettings
from orchestrator.scaling.signals import FleetSignals
from orchestrator.scaling.track import SteeredTarget


@dataclass(frozen=True, slots=True)
class PolicyState:
    """The policy's memory; ``PolicyState()`` knows nothing and takes what it finds first as the targets.

    Attributes:
        servers, instances: the two numbers that are steered.
        patience: the window before servers go.
        margin: the load that is aimed at.
        applied: (servers, instances) that the engine took last.
        offered: frames/s over the span of the trend.
        idle_since_s: since when nothing was offered and nothing waits.
        failures: of the engine, in a row.
        retry_at_s: until then the engine is left alone.
        trying_until_s: until then an added instance is being judged.
        full_until_s: until then no more servers than ``applied`` are asked for.
    """

    servers: SteeredTarget | None = None
    instances: SteeredTarget | None = None
    patience: ScaleDownWindow | None = None
    margin: Margin | None = None
    applied: tuple[int, int] | None = None
    offered: Samples = ()
    idle_since_s: float | None = None
    failures: int = 0
    retry_at_s: float | None = None
    trying_until_s: float | None = None
    full_until_s: float | None = None


def tracks(state: PolicyState, fleet: FleetSignals, now_s: float) -> tuple[PolicyState, SteeredTarget, SteeredTarget]:
    """The state with both tracks begun."""
    servers = state.servers or SteeredTarget.begin(fleet.coming, now_s, changed_s=now_s)
    instances = state.instances or SteeredTarget.begin(max(1, fleet.instances), now_s, changed_s=-math.inf)
    applied = state.applied or (servers.target, instances.target)
    return replace(state, servers=servers, instances=instances, applied=applied), servers, instances


def after_failure(state: PolicyState, settings: PolicySettings, now_s: float, *, exhausted: bool) -> PolicyState:
    """The engine failed to do what was decided: the targets are again those that it took last, and it gets a pause.

    ``exhausted`` says that it has no slot left. Then only more servers wait, for ``exhausted_retry_s``; fewer may be
    asked for at once.
    """
    if state.servers is None or state.instances is None or state.applied is None:
        return state
    servers, instances = state.applied
    back = replace(
        state, servers=state.servers.revert(servers, now_s), instances=state.instances.revert(instances, now_s)
    )
    if exhausted:
        return replace(back, full_until_s=now_s + settings.exhausted_retry_s)
    pause_s = min(settings.longest_retry_s, settings.retry_s * 2 ** min(state.failures, 30))
    return replace(back, failures=state.failures + 1, retry_at_s=now_s + pause_s)


def after_taking(state: PolicyState, *, servers: int | None = None, instances: int | None = None) -> PolicyState:
    """The engine took these numbers; ``None`` is one that it was not asked for.

    The present targets are no measure of that: they may have been decided after the engine was asked.
    """
    if state.applied is None:
        return state
    applied = (
        state.applied[0] if servers is None else servers,
        state.applied[1] if instances is None else instances,
    )
    return replace(state, applied=applied)


def after_success(state: PolicyState, servers: int, instances: int | None) -> PolicyState:
    """The engine has all that was decided last: its failures are over. ``None``: instances are not known."""
    return replace(after_taking(state, servers=servers, instances=instances), failures=0, retry_at_s=None)
