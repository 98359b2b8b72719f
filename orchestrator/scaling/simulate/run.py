"""A trace, a world and a scaler: step by step, to four numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from orchestrator.scaling.signals import FleetSignals
from orchestrator.scaling.simulate.queues import Queues
from orchestrator.scaling.simulate.scaler import Scaler, SimulatedLoad
from orchestrator.scaling.simulate.servers import Servers
from orchestrator.scaling.simulate.trace import Trace
from orchestrator.scaling.simulate.world import World

_LEARNING_S = 10.0
_MEMORY_S = 100.0
_FIRST_LOAD = 0.7


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the plot."""

    time_s: float
    offered_per_s: float
    capacity_per_s: float
    servers: int
    age_s: float


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """How a policy did.

    Attributes:
        violating_stream_seconds: see :mod:`.queues`.
        replica_hours: slots occupied, starting and draining included.
        decisions: changes of a target, of servers or instances.
        worst_backlog_age_s: age of the oldest frame that ever waited.
        arrived, done, skipped, waiting: frames; the first is the sum of the others.
    """

    violating_stream_seconds: float
    replica_hours: float
    decisions: int
    worst_backlog_age_s: float
    arrived: float
    done: float
    skipped: float
    waiting: float
    course: tuple[Moment, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Loss:
    """Servers that are gone at once, as with their zone.

    Attributes:
        at_s: when.
        share: of the ready ones.
        replaced_s: from when on the engine has room for others in their place.
    """

    at_s: float
    share: float
    replaced_s: float


def simulate(
    trace: Trace, world: World, scaler: Scaler, *, course_every_s: float | None = None, loss: Loss | None = None
) -> SimulationResult:
    """Run a trace through.

    It begins with the servers that make 70 % load of the first row, each with as many instances as are useful, and
    nothing learned.

    Args:
        trace: what is offered.
        world: the place.
        scaler: who decides; fresh, for it has a memory.
        course_every_s: keep a :class:`Moment` so often, for a plot.
        loss: servers that are gone at once.
    """
    return _Run(trace, world, scaler, loss).to_end(course_every_s)


class _Run:
    def __init__(self, trace: Trace, world: World, scaler: Scaler, loss: Loss | None) -> None:
        self._world, self._scaler = world, scaler
        self._loss, self._lost = loss, False
        self._steps = trace.by_step(world.step_s)
        self._instances = world.useful_instances
        first = self._steps[0][1] / (world.server_frames_per_s(self._instances) * _FIRST_LOAD)
        servers = min(world.ceiling, max(world.min_servers, int(np.ceil(first))))
        self._servers, self._queues = Servers(world, servers), Queues(world)
        self._target = servers
        self._ongoing = self._busy = self._ready = self._in_flight = 0.0
        self._learned: dict[int, float] = {}
        self._learning_s = 0.0

    def to_end(self, course_every_s: float | None) -> SimulationResult:
        world, queues, servers = self._world, self._queues, self._servers
        offered_noise = _wander(len(self._steps), world.noise, 5.0 / world.step_s, world.seed)
        cost_noise = _wander(len(self._steps), world.noise, 10.0 / world.step_s, world.seed + 1)
        course: list[Moment] = []
        decisions, next_look_s, next_course_s = 0, 0.0, 0.0
        for number, (streams, frames_per_s) in enumerate(self._steps):
            now_s = number * world.step_s
            if now_s >= next_look_s:
                decisions += self._look(now_s, streams)
                next_look_s += self._scaler.interval_s
            self._lose_and_replace(now_s)
            servers.step(now_s)
            offered_per_s = frames_per_s * offered_noise[number]
            capacity_per_s = servers.ready * world.server_frames_per_s(self._instances) / cost_noise[number]
            queues.step(streams, offered_per_s, capacity_per_s, now_s)
            self._measure(capacity_per_s)
            if course_every_s is not None and now_s >= next_course_s:
                age_s = queues.age_s(now_s + world.step_s)
                course.append(Moment(now_s, offered_per_s, capacity_per_s, servers.coming + servers.draining, age_s))
                next_course_s += course_every_s
        return SimulationResult(
            violating_stream_seconds=queues.violating_stream_s,
            replica_hours=servers.occupied_s / 3600,
            decisions=decisions,
            worst_backlog_age_s=queues.worst_age_s,
            arrived=queues.arrived,
            done=queues.done,
            skipped=queues.skipped,
            waiting=queues.waiting,
            course=tuple(course),
        )

    def _look(self, now_s: float, streams: int) -> int:
        world = self._world
        wanted = self._scaler.look(self._seen(now_s, streams))
        servers = max(world.min_servers, min(wanted.servers, world.ceiling))
        instances = self._instances if wanted.instances is None else wanted.instances
        changed = int(servers != self._target) + int(instances != self._instances)
        if servers != self._target:
            self._target = servers
            self._have_target(now_s)
        if instances != self._instances:
            self._instances, self._learning_s = instances, 0.0
        return changed

    def _lose_and_replace(self, now_s: float) -> None:
        """An engine keeps to its target by itself, as soon as there is room."""
        if self._loss is None or now_s < self._loss.at_s:
            return
        if not self._lost:
            self._lost = True
            self._servers.lose(round(self._servers.ready * self._loss.share))
        self._have_target(now_s)

    def _have_target(self, now_s: float) -> None:
        room = self._target
        if self._loss is not None and self._loss.at_s <= now_s < self._loss.replaced_s:
            room = min(room, self._servers.coming)
        if room != self._servers.coming:
            self._servers.scale(room, now_s)

    def _measure(self, capacity_per_s: float) -> None:
        world, ready, step_s = self._world, self._servers.ready, self._world.step_s
        load = min(1.0, self._queues.served_per_s / capacity_per_s) if capacity_per_s > 0 else 0.0
        self._in_flight = ready * world.in_flight(load)
        self._ongoing += (self._queues.waiting + self._in_flight) * step_s
        self._busy += ready * world.busy_share(load) * step_s
        self._ready += ready * step_s
        if load > 0:
            self._learn(capacity_per_s / ready)

    def _learn(self, frames_per_s: float) -> None:
        self._learning_s += self._world.step_s
        if self._learning_s >= _LEARNING_S:
            known = self._learned.get(self._instances, frames_per_s)
            share = self._world.step_s / min(self._learning_s, _MEMORY_S)
            self._learned[self._instances] = known + share * (frames_per_s - known)

    def _seen(self, now_s: float, streams: int) -> SimulatedLoad:
        servers, queues = self._servers, self._queues
        fleet = FleetSignals(servers.ready, servers.starting, servers.draining, self._instances, self._world.slots)
        return SimulatedLoad(
            now_s=now_s,
            streams=streams,
            fleet=fleet,
            offered_frames=queues.arrived,
            ongoing_frame_s=self._ongoing,
            busy_server_s=self._busy,
            ready_server_s=self._ready,
            waiting=queues.waiting,
            in_flight=self._in_flight,
            age_s=queues.age_s(now_s),
            realtime_ended=queues.realtime_ended,
            realtime_late=queues.realtime_late,
            server_frames_per_s=dict(self._learned),
        )


def _wander(steps: int, share: float, memory_steps: float, seed: int) -> list[float]:
    """Factors around 1 that are alike from step to step: an autoregressive process, its exponential taken."""
    if share == 0:
        return [1.0] * steps
    keep = float(np.exp(-1 / max(memory_steps, 1e-9)))
    fresh = np.random.default_rng(seed).standard_normal(steps) * share * np.sqrt(1 - keep * keep)
    factors, value = [], 0.0
    for number in fresh:
        value = keep * value + float(number)
        factors.append(float(np.exp(value)))
    return factors
