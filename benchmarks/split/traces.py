"""What link and cloud do, second by second. Pure. Written before the planner that is judged on it.

The links are those of `bench-uplink` at their full rates, each with a cloud that others use a fifth of. On two more
traces the link is steady and the cloud is suddenly in demand, once for long and twice for a short while.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.uplink.traces import Trace
from benchmarks.uplink.traces import traces as uplink_traces

LENGTH_S = 25
_USUAL_LOAD, _RUSH_LOAD = 0.2, 0.97
_STEADY_KBIT_S = 2000.0
_RUSH_S = range(9, 19)
_TWO_RUSHES_S = (*range(5, 9), *range(15, 19))


@dataclass(frozen=True, slots=True)
class SplitTrace:
    """A link and a cloud.

    Attributes:
        link: kbit/s in each second, losses, delay.
        cloud_load: the share of the servers' time that others take in each second, below 1.
    """

    link: Trace
    cloud_load: tuple[float, ...]

    @property
    def name(self) -> str:
        """For tables."""
        return self.link.name

    @property
    def length_s(self) -> int:
        """How long it is."""
        return self.link.length_s

    @property
    def changes(self) -> bool:
        """Whether anything is different at one second from another: where there is something to gain by planning."""
        return len(set(self.link.kbit_s)) > 1 or len(set(self.cloud_load)) > 1


def traces(length_s: int = LENGTH_S) -> list[SplitTrace]:
    """The eight of the benchmark."""
    usual = (_USUAL_LOAD,) * length_s
    links = [SplitTrace(link, usual) for link in uplink_traces(length_s)]
    return [*links, _rushing("cloud in demand", _RUSH_S, length_s), _rushing("two rushes", _TWO_RUSHES_S, length_s)]


def _rushing(name: str, seconds: range | tuple[int, ...], length_s: int) -> SplitTrace:
    load = tuple(_RUSH_LOAD if second in seconds else _USUAL_LOAD for second in range(length_s))
    return SplitTrace(Trace(f"2 Mbit/s, {name}", (_STEADY_KBIT_S,) * length_s), load)
