"""What was measured of device, link and cloud at a moment, and what a design would do under it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from narrows.contract.schedule.link_shape import IN_PROPORTION, LinkShape
from narrows.contract.schedule.table import Design, Kind

WARM_C, HOT_C = 80.0, 95.0
_LEAST_HEAT_SHARE = 0.2
_FULLEST = 0.99
PRIOR_BYTES_PER_S = 125_000.0
_AWAY_S = 1.0
_SLOWEST_BYTES_PER_S = 1.0
"""A link that is away: the design of fewest bytes is then the fastest, as it is once the link comes back."""


def share_when(celsius: float | None) -> float:
    """The share of the frame rate that a board so warm may have: all below 80 degrees, a fifth from 95 on."""
    if celsius is None:
        return 1.0
    return min(1.0, max(_LEAST_HEAT_SHARE, (HOT_C - celsius) / (HOT_C - WARM_C)))


def goodput_while_waiting(goodput_bytes_per_s: float, waiting_bytes: float, waiting_s: float) -> float:
    """What is known of the link while a packet is on its way: 0, if it has taken twice its time and a second more.

    So a link that is away is noticed while a packet waits. Once it came through, what was known before counts again.

    Args:
        goodput_bytes_per_s: by what was acknowledged.
        waiting_bytes: of the oldest packet that was not: what it counts for.
        waiting_s: how long it has been first in line, less a bare round trip.
    """
    expected_s = waiting_bytes / (goodput_bytes_per_s if goodput_bytes_per_s < math.inf else PRIOR_BYTES_PER_S)
    return 0.0 if waiting_s > 2 * expected_s + _AWAY_S else goodput_bytes_per_s


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was measured.

    Attributes:
        goodput_bytes_per_s: how fast the link takes packets of the size in use; infinite before it was measured, 0
            while it is away.
        round_trip_s: of a small question.
        device_load: share of the device's processor that other programs or a quota take.
        temperature_c: of its board; ``None`` where nothing tells.
        cloud_load: share of the servers' time that others take, by the control record.
        cloud_wait_s: how long a frame waits there for its turn.
        most_on_their_way: frames that may be on their way at a time; ``None`` is no limit.
        size_ratio: bytes of the latest packets over what the table expects: a costly scene is costly at every design.
        shape: what packets of other sizes count for at that goodput.
        tried_bytes: larger packets were not on the link of late: what is known of them is a guess.
        overhead_s: processor seconds of a frame on the device beside head and coder: taking, planning, handing it on.
    """

    goodput_bytes_per_s: float = math.inf
    round_trip_s: float = 0.0
    device_load: float = 0.0
    temperature_c: float | None = None
    cloud_load: float = 0.0
    cloud_wait_s: float = 0.0
    most_on_their_way: int | None = None
    size_ratio: float = 1.0
    shape: LinkShape = IN_PROPORTION
    tried_bytes: float = math.inf
    overhead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a design would do.

    Attributes:
        latency_s: from the picture to its result in the cloud.
        frames_per_s: that pass the narrowest of device, link and server.
        device_energy_j, server_s: of a picture.
    """

    latency_s: float
    frames_per_s: float
    device_energy_j: float
    server_s: float
    accuracy: float
    memory_bytes: int


def estimate(design: Design, device_s: float, energy_j: float, seen: Conditions) -> Estimate:
    """What a design would do.

    A server whose others take a share ``p`` of its time answers in ``s / (1 - p)``: processor sharing (Kleinrock,
    Queueing Systems II, 4.4). Device, link and server work on different frames at the same time, so the slowest of
    them sets the rate; where only so many frames may be on their way, they pass in no less than a frame's time each
    (Little's law). A link that was not measured yet is taken to carry 1 Mbit/s.

    Args:
        design: which.
        device_s: its seconds on the device while nothing else runs there.
        energy_j: its joules there.
        seen: what was measured.
    """
    at_device_s = (device_s + seen.overhead_s) / (1 - min(max(seen.device_load, 0.0), _FULLEST))
    known = seen.goodput_bytes_per_s < math.inf
    goodput = max(seen.goodput_bytes_per_s, _SLOWEST_BYTES_PER_S) if known else PRIOR_BYTES_PER_S
    link_s = seen.shape.counts_for(design.link_bytes * seen.size_ratio) / goodput
    server_s = design.server_s / (1 - min(max(seen.cloud_load, 0.0), _FULLEST))
    wait_s = seen.cloud_wait_s if design.server_s else 0.0
    latency_s = at_device_s + link_s + seen.round_trip_s / 2 + wait_s + server_s
    slowest_s = max(at_device_s / share_when(seen.temperature_c), link_s, server_s)
    if seen.most_on_their_way is not None and design.kind is not Kind.DEVICE_ONLY:
        slowest_s = max(slowest_s, latency_s / seen.most_on_their_way)
    return Estimate(
        latency_s=latency_s,
        frames_per_s=1 / slowest_s if slowest_s > 0 else math.inf,
        device_energy_j=energy_j,
        server_s=design.server_s,
        accuracy=design.accuracy,
        memory_bytes=design.memory_bytes,
    )
