"""How many servers there should be: feed-forward on the load, feedback on what waits, then the limits."""

from __future__ import annotations

import math

from orchestrator.scaling.demand import servers_for
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.scene import Scene
from orchestrator.scaling.track import SteeredTarget


def steer_servers(
    scene: Scene, servers: SteeredTarget, instances: SteeredTarget, *, tried: bool
) -> tuple[SteeredTarget, list[Reason]]:
    """Move the servers' track to what is needed, the instances' track being moved already.

    ``tried`` says that an instance was added just now and what it brings is not known: servers wait, unless frames do.
    """
    needed, why = _needed(scene, servers, instances.target)
    if needed is None:
        needed = servers.target
    if needed > servers.target and _instance_may_do(scene, instances, tried=tried):
        needed, why = servers.target, [Reason.SETTLING]
    floor = _floor(scene, servers.target)
    wanted, limits = limit_servers(scene, max(needed, floor))
    if wanted > servers.target:
        wanted, surge = _within_surge(scene, wanted, servers.target)
        limits = surge + limits
    if servers.target > scene.settings.max_servers:
        servers = servers.set(scene.settings.max_servers, scene.now_s)
    window_s = scene.window_s
    moved = servers.note(min(needed, wanted), window_s, scene.now_s).move(wanted, window_s, scene.now_s)
    return moved, _reasons(servers, moved, wanted, needed, why, limits)


def limit_servers(scene: Scene, wanted: int) -> tuple[int, list[Reason]]:
    """Bring a number within the minimum, the maximum, the slots, and what a full engine took last."""
    settings, state, slots = scene.settings, scene.state, scene.signals.fleet.slots
    full = state.full_until_s is not None and scene.now_s < state.full_until_s and state.applied is not None
    room = min(math.inf if slots is None else slots, state.applied[0] if full and state.applied else math.inf)
    if wanted > min(room, settings.max_servers):
        reason = Reason.CAPACITY_EXHAUSTED if room < settings.max_servers else Reason.AT_MAXIMUM
        return max(0, int(min(room, settings.max_servers))), [reason]
    if wanted < settings.min_servers:
        return int(min(settings.min_servers, room)), [Reason.AT_MINIMUM]
    return wanted, []


def _needed(scene: Scene, servers: SteeredTarget, instances: int) -> tuple[int | None, list[Reason]]:
    """Servers for the load and the trouble there is; fewer than there are only where hysteresis agrees."""
    settings, rate = scene.settings, scene.rate(instances)
    if scene.offered is None or rate is None:
        if scene.work and servers.target == 0:
            return 1, [Reason.COLD_START]
        if scene.offered is None or scene.work:
            return None, [Reason.SIGNALS_MISSING]
        return 0, [Reason.LOAD_LOW]
    aim, highest = scene.aim, max(scene.aim, settings.highest_load)
    now, soon = (servers_for(scene.offered, rate, aim), servers_for(scene.ahead, rate, highest))
    needed, why = (now, Reason.LOAD_HIGH) if now >= soon else (soon, Reason.RISING)
    if needed <= servers.target:
        spare = servers_for(scene.offered, rate, aim - settings.hysteresis)
        needed, why = min(max(spare, soon), servers.target), Reason.LOAD_LOW
    if scene.work and servers.target == 0:
        return max(1, needed), [Reason.COLD_START]
    if scene.troubled:
        return _with_feedback(scene, servers, rate, needed, why)
    return max(needed, 1 if scene.work else 0), [why]


def _with_feedback(
    scene: Scene, servers: SteeredTarget, rate: float, needed: int, why: Reason
) -> tuple[int, list[Reason]]:
    """Frames wait or end late: never fewer, and more where decoders can be the cause and none is on its way."""
    settings, fleet = scene.settings, scene.signals.fleet
    if needed > servers.target:
        return needed, [why]
    load = scene.offered / (rate * servers.target) if scene.offered and servers.target else 0.0
    if scene.signals.dispatcher_saturation >= settings.saturated and load < scene.aim:
        return servers.target, [Reason.DISPATCHER_SATURATED]
    if fleet.starting > 0 or scene.now_s - servers.changed_s < settings.cooldown_s + settings.startup_s:
        return servers.target, [Reason.SETTLING]
    waiting = scene.signals.backlog_frames / settings.drain_s
    drained = servers_for((scene.offered or 0.0) + waiting, rate, scene.aim)
    late = servers.target + 1 if load >= settings.feedback_load else servers.target
    most = max(drained, late)
    return (most, [Reason.BACKLOG]) if most > servers.target else (servers.target, [Reason.STEADY])


def _instance_may_do(scene: Scene, instances: SteeredTarget, *, tried: bool) -> bool:
    """An instance is being tried, and what is ready still carries the load."""
    until_s = scene.state.trying_until_s
    settling = tried or (until_s is not None and scene.now_s < until_s)
    return (
        settling
        and not scene.troubled
        and scene.load(scene.signals.fleet.ready, instances.target) < scene.settings.highest_load
    )


def _floor(scene: Scene, target: int) -> int:
    """The minimum; with a minimum of zero, the last server stays until the idle time is over."""
    settings, idle_s = scene.settings, scene.state.idle_since_s
    if settings.min_servers == 0 and target > 0 and (idle_s is None or scene.now_s - idle_s < settings.idle_s):
        return 1
    return settings.min_servers


def _within_surge(scene: Scene, wanted: int, target: int) -> tuple[int, list[Reason]]:
    """No more on their way up than the larger of a number and a share of what is ready; but the minimum at once."""
    settings, ready = scene.settings, scene.signals.fleet.ready
    most = max(
        target, scene.settings.min_servers, ready + max(settings.surge_servers, math.ceil(ready * settings.surge_share))
    )
    return (most, [Reason.SURGE_LIMIT]) if wanted > most else (wanted, [])


def _reasons(
    before: SteeredTarget, after: SteeredTarget, wanted: int, needed: int, why: list[Reason], limits: list[Reason]
) -> list[Reason]:
    if after.target > before.target:
        return [*why, *limits]
    if after.target < before.target:
        return [Reason.IDLE if after.target == 0 else Reason.LOAD_LOW]
    if needed > before.target or (limits and needed < wanted):
        return limits or why
    if wanted < before.target:
        return [Reason.STABILISING]
    return [each for each in why if each is not Reason.LOAD_LOW and each is not Reason.LOAD_HIGH]
