"""What an operator may set of the policy."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.telemetry.health import DISPATCHER_BUSY, Severity


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The knobs of the policy. The defaults are those that the simulator shows best over its traces.

    Attributes:
        min_servers, max_servers: bounds; a minimum of 0 allows scale to zero.
        min_instances, max_instances: bounds of the instances in each server.
        target_load, lowest_load, first_load: offered work over capacity that is aimed at, 0 to 1: the highest and the
            lowest aim, and the first; a lower target counts for all three. See :mod:`.margin`.
        margin_memory_s: from the lowest aim back to the highest, where no frame is late.
        highest_load: what the trend foresees for the end of a start-up shall make at most this load. Between the aim
            and this lies the room that takes up slow growth without a forecast.
        hysteresis: servers go only where the load would then stay this far below the target.
        startup_s: from asking for a server until it takes work; how far the trend is followed.
        smoothing_s: span that the offered load is averaged over.
        jump: a last sample that differs from that average by this share counts instead of it; and a rise over the
            trend's span is one only when it is at least as large. Above the noise of the offered load.
        trend_s: span of the offered load that the trend is drawn through; 0: no look-ahead.
        trend_limit: the look-ahead adds at most this share of what is offered now.
        stabilisation_s: servers go when fewer would have done all this time, and none came in it.
        first_stabilisation_s, longest_stabilisation_s: that window begins with the former; it grows up to the latter
            when servers that went were missed within ``regret_s``, and shrinks while none are.
        max_age_s: a backlog older than this calls for more than the load alone does.
        max_late_ratio: so does a larger share of late frames.
        feedback_load: below this load, lateness has another cause than too few servers.
        drain_s: the time in which a backlog should be gone.
        cooldown_s: after a change, feedback waits so long, beside the start-up of what was asked for.
        surge_servers, surge_share: servers that may be on their way up at once: the larger of a number and a share of
            those that are ready.
        idle_s: with nothing offered for so long, the last server goes, where the minimum is 0.
        min_gain: an instance that brings less than this share more is not added.
        instance_settle_s: after a change of instances, so long until the next: what it brings is learned meanwhile.
        instance_stabilisation_s: as ``stabilisation_s``, for instances.
        saturated: a busy share of a dispatcher from which on waiting frames are put down to it.
        retry_s, longest_retry_s: the first pause after an engine failed, doubling up to the longest.
        exhausted_retry_s: a full engine is asked for more again after so long.
    """

    min_servers: int = 1
    max_servers: int = 16
    min_instances: int = 1
    max_instances: int = 4
    target_load: float = 0.88
    lowest_load: float = 0.72
    first_load: float = 0.82
    margin_memory_s: float = 21600.0
    highest_load: float = 0.92
    hysteresis: float = 0.03
    startup_s: float = 20.0
    smoothing_s: float = 4.0
    jump: float = 0.08
    trend_s: float = 20.0
    trend_limit: float = 1.0
    stabilisation_s: float = 15.0
    first_stabilisation_s: float = 30.0
    longest_stabilisation_s: float = 300.0
    regret_s: float = 120.0
    max_age_s: float = 1.0
    max_late_ratio: float = 0.01
    feedback_load: float = 0.4
    drain_s: float = 30.0
    cooldown_s: float = 10.0
    surge_servers: int = 32
    surge_share: float = 1.0
    idle_s: float = 300.0
    min_gain: float = 0.10
    instance_settle_s: float = 15.0
    instance_stabilisation_s: float = 60.0
    saturated: float = DISPATCHER_BUSY.threshold(Severity.WARNING)
    retry_s: float = 5.0
    longest_retry_s: float = 120.0
    exhausted_retry_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            ValueError: names the setting and what it may be.
        """
        if not 0 <= self.min_servers <= self.max_servers or self.max_servers < 1:
            raise ValueError(
                f"min_servers {self.min_servers}, max_servers {self.max_servers}: 0 <= min <= max, max >= 1"
            )
        if not 1 <= self.min_instances <= self.max_instances:
            raise ValueError(f"min_instances {self.min_instances}, max_instances {self.max_instances}: 1 <= min <= max")
        if not 0 <= self.hysteresis < min(self.lowest_load, self.target_load) or self.target_load > 1:
            raise ValueError(
                f"hysteresis {self.hysteresis}, lowest_load {self.lowest_load}, target_load {self.target_load}: "
                "0 <= hysteresis < both loads, target_load <= 1"
            )
        for name in (
            "startup_s",
            "smoothing_s",
            "jump",
            "trend_s",
            "trend_limit",
            "stabilisation_s",
            "cooldown_s",
            "idle_s",
            "retry_s",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it cannot be negative")
        if self.margin_memory_s <= 0:
            raise ValueError(f"margin_memory_s {self.margin_memory_s} must be above 0")
        if self.drain_s <= 0 or self.surge_servers < 1:
            raise ValueError(f"drain_s {self.drain_s} must be above 0, surge_servers {self.surge_servers} at least 1")
