"""A zone is lost and comes back: what cameras, Redis nodes, dispatchers and decoders of an install do meanwhile.

::

    zone lost ─┬─ masters there: heirs serve after timeout and vote ── cameras: give up, back off, ask, connect
               ├─ dispatchers there: their leases lapse, the others take the shards
               └─ decoders there: the engine starts them elsewhere (the autoscaler's own simulator)
    zone back ─┬─ dispatchers there: the others hand over what is above their fair share
               └─ masters there: replicas at first; somebody gives them their slots again, at once or one by one
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.fleet.links import Links, ReconnectRules
from benchmarks.fleet.nodes import Floats, Indices, Nodes
from benchmarks.fleet.sizing import SLOTS
from narrows.contract.wire import ShardKeys
from narrows.contract.wire.keys import shard_of
from narrows.runtime.redis.slots import slot_of
from orchestrator.dispatch.lease import fair_share
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.scaling.policy import PolicySettings
from orchestrator.scaling.simulate.ours import Narrows
from orchestrator.scaling.simulate.run import Loss, simulate
from orchestrator.scaling.simulate.trace import Trace
from orchestrator.scaling.simulate.world import World

STEP_S, LOOK_S = 0.1, 0.5
NODE_TIMEOUT_S = 2.0
"""``cluster-node-timeout`` of docs/operations.md."""
_CORES_A_SERVER = 4


@dataclass(frozen=True, slots=True)
class ZoneLoss:
    """What happens, to which install.

    Attributes:
        lost_s, back_s: when the zone goes and comes.
        returned_s: when its masters are given their slots again.
        pause_s: between one of them and the next; 0: all at once.
        spare: whether other zones have room for the decoders that were lost.
    """

    cameras: int
    masters: int
    shards: int
    dispatchers: int
    connect_s: float
    redis_frame_s: float
    decoder_frame_s: float
    fps: float = 5.0
    zones: int = 3
    lost_s: float = 60.0
    back_s: float = 240.0
    returned_s: float = 300.0
    pause_s: float = 0.0
    end_s: float = 1000.0
    spare: bool = True
    rules: ReconnectRules = field(default_factory=ReconnectRules)
    seed: int = 1


@dataclass(frozen=True)
class ZoneResult:
    """What a simulated loss came to.

    Attributes:
        reconnects_per_s: connections made in each second, renewals included.
        p99_age_s: of the newest mask of each camera, the 99th percentile in each second, the worst look; 0 while all
            are served.
        left_out: share of the frames in each second that decoders cannot do.
        busiest_share: handshakes of the node that had most, over all.
        wall_s, simulated_s: how long it took here, and there.
    """

    reconnects_per_s: Floats
    p99_age_s: Floats
    left_out: Floats
    busiest_share: float
    wall_s: float
    simulated_s: float

    def peak(self, from_s: float, to_s: float) -> tuple[float, float]:
        """The most reconnects in a second, and the highest age, of a span."""
        span = slice(round(from_s), round(to_s))
        return float(self.reconnects_per_s[span].max()), float(self.p99_age_s[span].max())

    def calm_after_s(self, from_s: float, age_s: float = 1.0, within_s: float = 180.0) -> float:
        """How long after a moment the age was above ``age_s`` last; 0 if it never was."""
        above = np.flatnonzero(self.p99_age_s[round(from_s) : round(from_s + within_s)] > age_s)
        return float(above[-1] + 1) if len(above) else 0.0


def run(loss: ZoneLoss) -> ZoneResult:
    """Simulate one install."""
    begun_s = time.monotonic()
    return _Run(loss).to_end(begun_s)


def run_all(losses: Sequence[ZoneLoss]) -> ZoneResult:
    """Simulate installs that share their zones and nothing else: connections add up, the worst age counts."""
    results = [run(loss) for loss in losses]
    return ZoneResult(
        np.sum([each.reconnects_per_s for each in results], axis=0),
        np.max([each.p99_age_s for each in results], axis=0),
        np.max([each.left_out for each in results], axis=0),
        max(each.busiest_share for each in results),
        sum(each.wall_s for each in results),
        results[0].simulated_s,
    )


class _Run:
    def __init__(self, loss: ZoneLoss) -> None:
        self._loss, self._chance = loss, np.random.default_rng(loss.seed)
        random.seed(loss.seed)  # the product's back-off draws from it
        of_shard = np.array(
            [slot_of(ShardKeys(shard).lease) * loss.masters // SLOTS for shard in range(loss.shards)], np.intp
        )
        self._shard = np.array([shard_of(f"cam-{each}", loss.shards) for each in range(loss.cameras)], np.intp)
        self._master, self._of_shard = of_shard[self._shard], of_shard
        frames = np.bincount(self._master, minlength=loss.masters) * loss.fps
        self._nodes = Nodes(loss.masters, loss.zones, loss.connect_s, frames * loss.redis_frame_s)
        self._links = Links(self._nodes, self._master, 1 / loss.fps, self._chance, loss.rules)
        self._owner = np.arange(loss.shards) % loss.dispatchers
        self._owned_s = np.zeros(loss.shards)
        self._failover_s = np.full(loss.masters, np.inf)
        settings = DispatchSettings()
        self._ttl_s, self._beat_s = settings.lease_ttl_ms / 1000, settings.beat_s
        self._at_home = np.flatnonzero(self._nodes.zone[: loss.masters] == 0)

    def to_end(self, begun_s: float) -> ZoneResult:
        loss, steps = self._loss, round(self._loss.end_s / STEP_S)
        reconnects, ages = np.zeros(round(loss.end_s)), np.zeros(round(loss.end_s))
        left_out, last_s = _left_out(loss), np.zeros(loss.cameras)
        events = self._events()
        for number in range(steps):
            now_s = number * STEP_S
            while events and events[0][0] <= now_s:
                self._happen(events.pop(0)[1], now_s)
            self._fail_over(now_s)
            self._links.step(now_s)
            self._nodes.step(STEP_S)
            second = int(now_s)
            reconnects[second] += self._links.connected
            served = self._links.flowing() & (self._owned_s[self._shard] <= now_s)
            last_s[served] = now_s
            if number % round(LOOK_S / STEP_S) == 0:
                calm = left_out[second] == 0 and served.all()
                ages[second] = max(ages[second], 0.0 if calm else self._p99_s(now_s - last_s, left_out[second]))
        handshakes = self._nodes.handshakes
        return ZoneResult(
            reconnects,
            ages,
            left_out,
            float(handshakes.max() / handshakes.sum()),
            time.monotonic() - begun_s,
            loss.end_s,
        )

    def _events(self) -> list[tuple[float, tuple[str, Indices]]]:
        loss, everybody = self._loss, self._at_home
        groups = [everybody] if loss.pause_s == 0 else [np.array([each]) for each in everybody]
        given = [(loss.returned_s + number * loss.pause_s, ("given", group)) for number, group in enumerate(groups)]
        return [(loss.lost_s, ("lost", everybody)), (loss.back_s, ("back", everybody)), *given]

    def _happen(self, event: tuple[str, Indices], now_s: float) -> None:
        what, masters = event
        if what == "lost":
            self._lose(now_s)
        elif what == "back":
            self._nodes.alive[:] = True
            self._share_anew(now_s, range(self._loss.dispatchers))
        else:
            self._nodes.serving[masters] = masters
            self._links.moved(masters, now_s)

    def _lose(self, now_s: float) -> None:
        """Node timeout, gossip, and the vote, for which a replica waits 0.5 to 1 s (Redis Cluster specification)."""
        nodes, homes = self._nodes, self._at_home
        nodes.alive[nodes.zone == 0] = False
        self._links.dead(np.flatnonzero(~nodes.alive), now_s)
        drawn = self._chance.uniform(0, NODE_TIMEOUT_S / 2, len(homes)) + self._chance.uniform(0.5, 1.0, len(homes))
        self._failover_s[homes] = now_s + NODE_TIMEOUT_S + drawn
        away = np.isin(self._of_shard, homes)
        self._owned_s[away] = self._failover_s[self._of_shard[away]] + self._beats(int(away.sum()))
        dispatchers = self._loss.dispatchers
        self._share_anew(now_s, [each for each in range(dispatchers) if each % self._loss.zones])

    def _fail_over(self, now_s: float) -> None:
        over = np.flatnonzero(self._failover_s <= now_s)
        self._nodes.serving[over] = self._nodes.masters + over
        self._failover_s[over] = np.inf

    def _share_anew(self, now_s: float, living: Sequence[int]) -> None:
        """Shards of the dead are taken when their leases have lapsed; owners hand over what is above their share."""
        names = [str(each) for each in living]
        due = dict(zip(living, (fair_share(self._loss.shards, names, name) for name in names), strict=True))
        free: list[int] = []
        for owner in range(self._loss.dispatchers):
            held = np.flatnonzero(self._owner == owner)
            free += held[due.get(owner, 0) :].tolist()
            due[owner] = due.get(owner, 0) - min(len(held), due.get(owner, 0))
        takers = np.repeat(list(due), list(due.values()))
        shards = np.array(free, np.intp)
        dead = ~np.isin(self._owner[shards], living)
        gone_s = now_s + self._beats(len(shards)) + np.where(dead, self._ttl_s, 0.0)
        self._owned_s[shards] = np.maximum(self._owned_s[shards], gone_s + self._beats(len(shards)))
        self._owner[shards] = takers[: len(shards)]

    def _beats(self, count: int) -> Floats:
        return self._chance.uniform(0, self._beat_s, count)

    def _p99_s(self, silent_s: Floats, left_out: float) -> float:
        """Age of the newest mask: since the camera was served, a part of a period, and frames that were skipped."""
        skipped = self._chance.geometric(1 - left_out, len(silent_s)) - 1 if left_out > 0 else 0
        ages = silent_s + (self._chance.uniform(0, 1, len(silent_s)) + skipped) / self._loss.fps
        return float(np.percentile(ages, 99))


def _left_out(loss: ZoneLoss) -> Floats:
    """Share of the frames that decoders cannot do, by second: the autoscaler's policy in its own simulator."""
    world = World(
        frame_s=loss.decoder_frame_s / _CORES_A_SERVER,
        instance_gains=(1.0,),
        max_servers=100_000,
        slots=None,
        noise=0.0,
        min_servers=2,
    )
    half_s = loss.end_s / 2
    trace = Trace("level", (0.0, half_s), (loss.cameras,) * 2, (loss.fps,) * 2)
    policy = Narrows(PolicySettings(min_servers=2, max_servers=100_000, max_instances=1))
    course = simulate(
        trace,
        world,
        policy,
        course_every_s=1.0,
        loss=Loss(loss.lost_s, 1 / loss.zones, loss.lost_s if loss.spare else loss.back_s),
    ).course
    return np.array([max(0.0, 1 - each.capacity_per_s / each.offered_per_s) for each in course])
