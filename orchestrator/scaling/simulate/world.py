"""The place that is simulated: how fast servers are, how long they take to come and go, how uneven it all is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class World:
    """The same for every policy.

    Attributes:
        frame_s: processor time of a frame in a full batch, in a server of one instance.
        max_batch: frames in a full batch.
        lone_cost: what a frame alone costs, as a multiple of ``frame_s``; 1 to ``max_batch``.
        instance_gains: a server's speed by its instances, the first one's being 1.
        startup_s: from asking for a server until it takes work.
        drain_s: from sending a server away until its slot is free; it takes no work meanwhile.
        slo_s: a realtime frame must have its mask within this time; when older it is skipped.
        late_share: a stream may miss that with so many of its frames.
        complete_share: share of the streams whose frames all wait for their mask, however long.
        noise: standard deviation of the offered rate and of a frame's cost, as a share; both wander within seconds.
        seed: of the noise.
        min_servers, max_servers, slots: bounds for every policy.
        step_s: of the model.
    """

    frame_s: float = 0.0125
    max_batch: int = 8
    lone_cost: float = 3.0
    instance_gains: tuple[float, ...] = (1.0, 1.3, 1.36, 1.38)
    startup_s: float = 20.0
    drain_s: float = 10.0
    slo_s: float = 0.5
    late_share: float = 0.01
    complete_share: float = 0.2
    noise: float = 0.03
    seed: int = 1
    min_servers: int = 1
    max_servers: int = 64
    slots: int | None = None
    step_s: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a place that cannot be.

        Raises:
            ValueError: names the value and what it may be.
        """
        if not (self.frame_s > 0 and self.step_s > 0 and self.slo_s > 0):
            raise ValueError(f"frame_s {self.frame_s}, step_s {self.step_s}, slo_s {self.slo_s}: all must be above 0")
        if not 1 <= self.lone_cost <= self.max_batch:
            raise ValueError(f"lone_cost {self.lone_cost} must lie between 1 and max_batch {self.max_batch}")
        if not self.instance_gains or self.instance_gains[0] != 1 or min(self.instance_gains) <= 0:
            raise ValueError(f"instance_gains {self.instance_gains} must begin with 1 and stay above 0")
        if not (self.startup_s >= 0 and self.drain_s >= 0 and self.noise >= 0 and 0 <= self.complete_share < 1):
            raise ValueError("startup_s, drain_s, noise cannot be negative; complete_share lies between 0 and 1")
        if not 0 <= self.min_servers <= self.max_servers:
            raise ValueError(f"min_servers {self.min_servers}, max_servers {self.max_servers}: 0 <= min <= max")

    def server_frames_per_s(self, instances: int) -> float:
        """What a server can do in full batches."""
        gains = self.instance_gains
        return gains[min(instances, len(gains)) - 1] / self.frame_s

    @property
    def useful_instances(self) -> int:
        """As many as each still bring 10 %: what a careful operator sets once where nothing steers them."""
        count = 1
        while count < len(self.instance_gains) and self.instance_gains[count] >= 1.1 * self.instance_gains[count - 1]:
            count += 1
        return count

    @property
    def ceiling(self) -> int:
        """The most servers that fit."""
        return self.max_servers if self.slots is None else min(self.max_servers, self.slots)

    def batch(self, load: float) -> float:
        """Mean batch of a server at this share of its capacity: what arrives while a batch runs makes the next one."""
        fixed, each = self._cost_shape
        if load * each >= 1 or load >= 1:
            return float(self.max_batch)
        return min(float(self.max_batch), max(1.0, load * fixed / (1 - load * each)))

    def busy_share(self, load: float) -> float:
        """Share of the time that a server computes: what utilisation shows. Small batches saturate it early."""
        return min(1.0, load * self.lone_cost)

    def in_flight(self, load: float) -> float:
        """Frames in a server: in the batch that runs, and on average half as long before it."""
        fixed, each = self._cost_shape
        return load * (fixed + each * self.batch(load)) * (1 + self.busy_share(load) / 2)

    @property
    def _cost_shape(self) -> tuple[float, float]:
        """The fixed part and the part per frame of a batch's cost, in units of ``frame_s``."""
        if self.max_batch == 1:
            return 0.0, 1.0
        each = (self.max_batch - self.lone_cost) / (self.max_batch - 1)
        return self.lone_cost - each, each
