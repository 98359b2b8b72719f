"""The policy: signals, orders and what was before go in; targets with reasons come out. Pure.

::

    offered frames/s ─┬─ trend, as far as a start-up ─┐
    learned frames/s ─┴─ servers for the aim ─────────┼─ instances first ─ surge, slots, min, max ─ target ─ Decision
    backlog, lateness ─────── feedback ───────────────┘

Load is offered work over capacity (decision 6 in ARCHITECTURE.md), so the number of servers follows the streams before
anything waits. Feedback corrects what the model does not know: at once with servers, and for good in two ways.
:mod:`.margin` learns how far below full load to aim, :mod:`.patience` how long to keep servers that seem not to be
needed. :mod:`.track` says why it cannot flap.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.scaling.instance_rule import steer_instances
from orchestrator.scaling.patience import ScaleDownWindow
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.scene import Scene, learn_margin, observe
from orchestrator.scaling.server_rule import limit_servers, steer_servers
from orchestrator.scaling.settings import PolicySettings
from orchestrator.scaling.signals import Decision, Orders, Signals
from orchestrator.scaling.state import PolicyState, after_failure, after_success, after_taking, tracks
from orchestrator.scaling.track import SteeredTarget

__all__ = ["PolicySettings", "PolicyState", "after_failure", "after_success", "after_taking", "decide"]


def decide(
    signals: Signals, orders: Orders, state: PolicyState, settings: PolicySettings, now_s: float
) -> tuple[Decision, PolicyState]:
    """What there should be.

    Args:
        signals: as they are now.
        orders: of the operator.
        state: what the last call returned, or :func:`after_failure` or :func:`after_success` made of it.
        settings: bounds and knobs.
        now_s: any clock that does not go backwards.

    Returns:
        The decision and the state for the next call. After a failure, as long as it backs off, the decision is what the
        engine took last; so a program that acts where decision and engine differ leaves it alone.
    """
    begun, servers, instances = tracks(state, signals.fleet, now_s)
    noted = observe(signals, begun, settings, now_s)
    noted = learn_margin(Scene.of(signals, noted, settings, now_s))
    scene = Scene.of(signals, noted, settings, now_s)
    if orders.frozen:
        reasons = [Reason.FROZEN]
    elif noted.retry_at_s is not None and now_s < noted.retry_at_s:
        reasons = [Reason.BACKING_OFF]
    elif orders.servers is not None:
        number, limits = limit_servers(scene, orders.servers)
        servers, reasons = servers.set(number, now_s), [Reason.MANUAL, *limits]
    else:
        before = servers.target
        servers, instances, reasons = _automatic(scene, servers, instances)
        patience = noted.patience or ScaleDownWindow(max(settings.stabilisation_s, settings.first_stabilisation_s))
        noted = replace(noted, patience=patience.after(before, servers.target, settings, now_s))
        if Reason.INSTANCE_TRY in reasons:
            noted = replace(noted, trying_until_s=now_s + settings.instance_settle_s)
    decision = _decision(scene, servers, instances, reasons)
    return decision, replace(noted, servers=servers, instances=instances)


def _automatic(
    scene: Scene, servers: SteeredTarget, instances: SteeredTarget
) -> tuple[SteeredTarget, SteeredTarget, list[Reason]]:
    moved, why_instances = steer_instances(scene, instances, servers.target)
    servers, why_servers = steer_servers(scene, servers, moved, tried=Reason.INSTANCE_TRY in why_instances)
    changed = moved.target != instances.target
    first, second = (why_instances, why_servers) if changed else (why_servers, why_instances)
    return servers, moved, [*first, *second] or [Reason.STEADY]


def _decision(scene: Scene, servers: SteeredTarget, instances: SteeredTarget, reasons: list[Reason]) -> Decision:
    slots, number = scene.signals.fleet.slots, servers.target
    if slots is not None and number > slots:
        number, reasons = max(0, slots), [*reasons, Reason.CAPACITY_EXHAUSTED]
    return Decision(number, instances.target, tuple(dict.fromkeys(map(str, reasons))), _in_words(scene))


def _in_words(scene: Scene) -> str:
    signals, fleet, rate = scene.signals, scene.signals.fleet, scene.rate(max(1, scene.signals.fleet.instances))
    offered = "unknown" if scene.offered is None else f"{scene.offered:.1f}"
    does = "an unknown rate" if rate is None else f"{rate:.1f}"
    ahead = f", {scene.ahead:.1f} soon" if scene.offered is not None and scene.ahead > scene.offered else ""
    backlog = f"; {signals.backlog_frames} frames wait, the oldest {signals.backlog_age_s:.1f} s"
    return (
        f"{signals.streams} streams offer {offered} frames/s{ahead}; a server does {does}, aim {scene.aim:.0%}; "
        f"{fleet.ready} ready, {fleet.starting} starting, {fleet.draining} draining"
        f"{backlog if signals.backlog_frames > 0 else ''}"
    )
