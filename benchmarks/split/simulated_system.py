"""A device, a link and a cloud that follow a trace. Deterministic; times are seconds since the trace began.

Each does one frame at a time, in order, at a speed that is constant within a second of the trace:

- the device at a share of the machine that was profiled (its quota), a head's time scattered by a few per cent;
- the link at the trace's rate, behind a token bucket; where it loses packets, at no more than TCP gets out of it
  (Mathis et al., "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm", 1997: MSS / RTT * sqrt(3 / 2p));
- the cloud at what others leave of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.split.traces import SplitTrace

_MSS_BYTES, _HEADERS = 1448, 0.96
_BESIDE_BYTES = 64
"""Of the bucket of the real links (:mod:`benchmarks.uplink.link`), beside a packet."""
_SCATTER = 0.05


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """Beside the trace.

    Attributes:
        quota: share of a core that the device has.
        frames_per_s: that the camera takes at most.
        repeats: how often the trace is played, without a pause.
        in_flight: frames on their way at most, whose results are not there yet; those that the device did itself aside.
    """

    quota: float = 0.1
    frames_per_s: float = 10.0
    repeats: int = 4
    in_flight: int = 3
    seed: int = 0


class Timeline:
    """Work that is done at a speed of its own in each second."""

    def __init__(self, speeds: Sequence[float], repeats: int) -> None:
        self._speeds = tuple(speeds) * repeats

    @property
    def length_s(self) -> float:
        """Until when it is told; it stays as it was at the end."""
        return float(len(self._speeds))

    def at(self, now_s: float) -> float:
        """The speed of a moment."""
        return self._speeds[min(int(max(now_s, 0.0)), len(self._speeds) - 1)]

    def finish_s(self, begin_s: float, work: float) -> float:
        """When so much is done; infinite if never."""
        now_s = begin_s
        while work > 0:
            speed, until_s = self.at(now_s), math.floor(now_s) + 1.0
            if now_s >= self.length_s:
                return now_s + work / speed if speed > 0 else math.inf
            if work <= speed * (until_s - now_s):
                return now_s + work / speed
            work -= speed * (until_s - now_s)
            now_s = until_s
        return now_s


class Shaper:
    """The link: each packet behind those before it, what its token bucket holds at once.

    The bucket holds a packet of the link, as that of the real stack's links does, and fills while nothing crosses.
    """

    def __init__(self, rate: Timeline, bucket_bytes: float) -> None:
        self.rate, self._bucket_bytes, self._tokens, self._free_s = rate, bucket_bytes, bucket_bytes, 0.0

    def at(self, now_s: float) -> float:
        """Bytes a second of a moment."""
        return self.rate.at(now_s)

    def finish_s(self, begin_s: float, size_bytes: float) -> float:
        """When a packet is through that is begun no earlier than the one before it was."""
        self._tokens = min(self._bucket_bytes, self._tokens + max(0.0, begin_s - self._free_s) * self.at(begin_s))
        at_once = min(self._tokens, size_bytes) if self.at(begin_s) else 0.0
        self._tokens -= at_once
        self._free_s = self.rate.finish_s(begin_s, size_bytes - at_once)
        return self._free_s


class SimulatedSystem:
    """A device, a link and a cloud during one play of a trace."""

    def __init__(self, trace: SplitTrace, settings: SimulationSettings) -> None:
        link = trace.link
        most = math.inf
        if link.loss:
            round_trip_s = 2 * link.one_way_s
            most = _MSS_BYTES / round_trip_s * math.sqrt(1.5 / link.loss)
        rates = [min(kbit_s * 125 * _HEADERS, most) for kbit_s in link.kbit_s]
        self.link = Shaper(Timeline(rates, settings.repeats), link.mtu + _BESIDE_BYTES)
        self.cloud = Timeline([1 - load for load in trace.cloud_load], settings.repeats)
        self.one_way_s = link.one_way_s
        self.settings = settings
        self._chance = random.Random(f"{trace.name} {settings.seed}")

    @property
    def length_s(self) -> float:
        """Of the play."""
        return self.link.rate.length_s

    def head_s(self, device_s: float) -> float:
        """What a head takes that takes so long on the machine that was profiled."""
        return device_s / self.settings.quota * math.exp(self._chance.gauss(0.0, _SCATTER))

    def cloud_load(self, now_s: float) -> float:
        """What the control record says: the last whole second's."""
        return 1 - self.cloud.at(now_s - 1.0)
