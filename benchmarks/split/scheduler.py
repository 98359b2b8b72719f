"""What a scheduler is asked and told, ours as any rival's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_client.rate.packet_times import UNKNOWN, LinkSpeed
from narrows.contract.schedule import Design


@dataclass(frozen=True, slots=True)
class Seen:
    """What a camera has measured.

    Attributes:
        goodput_bytes_per_s: of the last delivery during which the link was not away; infinite before the first.
        latest_bytes_per_s: of the last one.
        round_trip_s: the least of late.
        cloud_load: by the control record, a second old.
        cloud_wait_s: how long frames wait for their turn there, as old.
        waiting_bytes: of the oldest packet that was not acknowledged.
        waiting_s: how long it has been on its way beyond a bare round trip, 0 if there is none.
        speed: what packets of each size took, for those who ask.
    """

    now_s: float
    goodput_bytes_per_s: float
    latest_bytes_per_s: float
    round_trip_s: float
    cloud_load: float
    cloud_wait_s: float
    waiting_bytes: float
    waiting_s: float
    speed: LinkSpeed = UNKNOWN


class Scheduler(Protocol):
    """Chooses before each frame; one that ``begins_anew`` may leave a head that is running for another design."""

    begins_anew: bool

    def choose(self, seen: Seen) -> Design:
        """How to do the next frame."""
        ...

    def head_took(self, design: Design, seconds: float, now_s: float) -> None:
        """A head was run in so long."""
        ...
