"""Frames as a fluid: what arrives is done, skipped or waits. Independent of the number of streams.

Realtime and complete streams share the servers as the dispatcher shares them: where not all fits, each kind has its
streams' share, and what one does not need the other may have. A realtime frame that is older than the SLO when its turn
comes is skipped, so at most the arrivals of one SLO wait. Frames of complete streams wait as long as it takes.

All streams of a kind are served alike (dispatching is fair), so when realtime frames are skipped, the same share of
every realtime stream's frames is. Therefore a stream-second is *violating* when more than ``late_share`` (1 %, the
SLO's own number) of the realtime frames offered in it are skipped: then all realtime streams count.

Left out: the randomness of arrivals within a step. At 80 frames/s a queue of random arrivals lets 1 % wait beyond
500 ms only above 94 % load, and cameras are more regular than random.
"""

from __future__ import annotations

from collections import deque

from orchestrator.scaling.simulate.world import World

_NOTHING = 1e-9


class Queues:
    """The frames of all streams."""

    def __init__(self, world: World) -> None:
        self.arrived = self.done = self.skipped = 0.0
        self.violating_stream_s = self.worst_age_s = 0.0
        self.realtime_ended = self.realtime_late = 0.0
        self.served_per_s = 0.0
        self._world = world
        self._realtime = self._complete = 0.0
        self._realtime_per_s = 0.0
        self._complete_arrived = self._complete_done = 0.0
        self._cohorts: deque[tuple[float, float]] = deque()

    @property
    def waiting(self) -> float:
        """Frames that no server has yet."""
        return self._realtime + self._complete

    def age_s(self, now_s: float) -> float:
        """Age of the oldest frame that waits."""
        oldest = now_s - self._cohorts[0][0] if self._cohorts else 0.0
        if self._realtime > _NOTHING and self._realtime_per_s > 0:
            oldest = max(oldest, min(self._world.slo_s, self._realtime / self._realtime_per_s))
        return oldest

    def step(self, streams: int, frames_per_s: float, capacity_per_s: float, now_s: float) -> None:
        """Let one step pass from ``now_s``, with so much offered and so much that servers can do."""
        world, step_s = self._world, self._world.step_s
        arrivals, room = frames_per_s * step_s, capacity_per_s * step_s
        for_complete = arrivals * world.complete_share
        for_realtime = arrivals - for_complete
        realtime, complete = self._realtime + for_realtime, self._complete + for_complete
        complete_done = min(complete, max(room * world.complete_share, room - realtime))
        realtime_done = min(realtime, room - complete_done)
        self._realtime_per_s = for_realtime / step_s
        self._realtime = min(realtime - realtime_done, self._realtime_per_s * world.slo_s)
        late = max(0.0, realtime - realtime_done - self._realtime)
        self._complete = complete - complete_done
        self.arrived += arrivals
        self.done += realtime_done + complete_done
        self.skipped += late
        self.realtime_ended += realtime_done + late
        self.realtime_late += late
        self.served_per_s = (realtime_done + complete_done) / step_s
        if late > world.late_share * for_realtime + _NOTHING:
            self.violating_stream_s += streams * (1 - world.complete_share) * step_s
        self._keep_age(for_complete, complete_done, now_s)

    def _keep_age(self, arrived: float, done: float, now_s: float) -> None:
        self._complete_arrived += arrived
        self._complete_done += done
        if arrived > 0:
            self._cohorts.append((now_s, self._complete_arrived))
        slack = _NOTHING * max(1.0, self._complete_arrived)
        while self._cohorts and self._cohorts[0][1] <= self._complete_done + slack:
            self._cohorts.popleft()
        self.worst_age_s = max(self.worst_age_s, self.age_s(now_s + self._world.step_s))
