"""How many instances each server should have: the first answer to load, for it takes seconds and no slot."""

from __future__ import annotations

from orchestrator.scaling.demand import servers_for
from orchestrator.scaling.gain import gain
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.scene import Scene
from orchestrator.scaling.track import SteeredTarget


def steer_instances(scene: Scene, instances: SteeredTarget, servers: int) -> tuple[SteeredTarget, list[Reason]]:
    """One more where the load asks for it and it brings at least ``min_gain``, or may: what it brings is not learned.

    Known gains are taken at once, several if need be; an unknown one is tried alone, and the next not before the last
    one's gain is learned. One fewer, after the window, where the last brings too little, or fewer do at the fewest
    servers.
    """
    wanted, reasons = _raised(scene, instances, servers)
    if wanted == instances.target:
        wanted, reasons = _lowered(scene, instances.target, servers, reasons)
    window_s = scene.settings.instance_stabilisation_s
    moved = instances.note(wanted, window_s, scene.now_s).move(wanted, window_s, scene.now_s)
    if moved.target == instances.target:
        reasons = [each for each in reasons if each is Reason.INSTANCE_GAIN_LOW]
    return moved, reasons


def _raised(scene: Scene, instances: SteeredTarget, servers: int) -> tuple[int, list[Reason]]:
    settings, count = scene.settings, max(instances.target, scene.settings.min_instances)
    reasons: list[Reason] = []
    if scene.signals.fleet.ready < 1:
        return instances.target, reasons
    while count < settings.max_instances and _short(scene, count, servers):
        brings = gain(scene.rates, count + 1)
        if brings is None:
            ready = count in scene.rates and scene.now_s - instances.changed_s >= settings.instance_settle_s
            if count == instances.target and ready and count + 1 not in scene.rates:
                return count + 1, [Reason.INSTANCE_TRY]
            break
        if brings < settings.min_gain:
            reasons.append(Reason.INSTANCE_GAIN_LOW)
            break
        count += 1
        reasons = [Reason.INSTANCE_GAIN]
    return min(count, settings.max_instances), reasons


def _lowered(scene: Scene, count: int, servers: int, reasons: list[Reason]) -> tuple[int, list[Reason]]:
    settings = scene.settings
    if count > settings.max_instances:
        return settings.max_instances, [Reason.AT_MAXIMUM]
    if count <= settings.min_instances:
        return count, reasons
    brings = gain(scene.rates, count)
    if brings is not None and brings < settings.min_gain:
        return count - 1, [Reason.INSTANCE_GAIN_LOW]
    spare = scene.aim - settings.hysteresis
    if count - 1 in scene.rates and servers <= settings.min_servers and scene.load(servers, count - 1) <= spare:
        return count - 1, [Reason.LOAD_LOW]
    return count, reasons


def _short(scene: Scene, instances: int, servers: int) -> bool:
    """Whether so many servers are too few for the target load, now or by the trend."""
    rate = scene.rate(instances)
    if scene.offered is None or rate is None:
        return False
    highest = max(scene.aim, scene.settings.highest_load)
    return max(servers_for(scene.offered, rate, scene.aim), servers_for(scene.ahead, rate, highest)) > servers
