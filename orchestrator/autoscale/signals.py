"""What a decision rests on, at one moment. Gathered by :mod:`.observe`, or made up by the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fleet:
    """The servers there are and the instances in each.

    Attributes:
        ready: servers that take work.
        starting: servers on their way up.
        draining: servers that finish what they have.
        instances: decoder instances in each server.
        slots: servers that this place can hold; ``None``: no limit is known.
    """

    ready: int
    starting: int = 0
    draining: int = 0
    instances: int = 1
    slots: int | None = None

    @property
    def coming(self) -> int:
        """Servers that take work now or soon."""
        return self.ready + self.starting


@dataclass(frozen=True, slots=True)
class Signals:
    """The state of the system as the policy sees it.

    Attributes:
        streams: streams that sent a frame lately.
        frames_per_s: frames that want a decoder, each second, whatever becomes of them.
        server_frames_per_s: frames that one server can do each second, by its instances, as far as that was learned;
            empty before the first batch. In the largest batches that the SLO allows (decision 6 of the design).
        backlog_frames: frames without an end.
        backlog_age_s: age of the oldest of them.
        late_ratio: share of the realtime frames that ended since the last look and missed the SLO; 0 to 1.
        fleet: the servers.
        dispatcher_saturation: busy share of the busiest dispatcher: where it is near 1, decoders are not to blame.
    """

    streams: int
    frames_per_s: float
    server_frames_per_s: Mapping[int, float]
    backlog_frames: int
    backlog_age_s: float
    late_ratio: float
    fleet: Fleet
    dispatcher_saturation: float = 0.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What the operator ordered: ``servers``, instead of what the policy wants; ``frozen``, change nothing."""

    servers: int | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Absolute targets, and why.

    Attributes:
        servers: servers that there should be.
        instances: decoder instances that each should have.
        reasons: names from :class:`~orchestrator.autoscale.reason.Reason`, the deciding one first; stable, for they are
            counter labels.
        detail: one line for people, with the numbers.
    """

    servers: int
    instances: int
    reasons: tuple[str, ...] = field(default=())
    detail: str = ""
