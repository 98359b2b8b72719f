"""What links do, second by second. Pure.

The mobile trace is made up in the manner of recorded ones (cars and trains under LTE: van der Hooft et al., IEEE
Communications Letters 2016): it wanders over a decade within seconds, and vanishes for two to three.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_SMALL_MTU = 576
_MOBILE_KBIT_S = (1600, 1200, 900, 700, 900, 1400, 0, 0, 600, 800, 1100, 1500, 700, 400, 300, 350, 500, 900, 0, 0, 0,
                  700, 1300, 1600, 1200)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trace:
    """A link: kbit/s in each second (0: it is away), the share of packets that are lost, one-way delay, packet size."""

    name: str
    kbit_s: tuple[float, ...]
    loss: float = 0.0
    one_way_s: float = 0.02
    mtu: int = 1500

    @property
    def length_s(self) -> int:
        """How long it is."""
        return len(self.kbit_s)

    @property
    def mean_kbit_s(self) -> float:
        """What it carries at most."""
        return sum(self.kbit_s) / len(self.kbit_s)

    def share(self, cameras: int) -> Trace:
        """What one of so many cameras has of it.

        Packets are as small as IPv4 allows: one of 1,500 bytes on a twentieth of a link is like one of 30,000 on the
        whole, which no link has, and a token bucket must let the largest packet pass at once.
        """
        shared = tuple(rate / cameras for rate in self.kbit_s)
        return replace(self, name=f"{self.name} / {cameras}", kbit_s=shared, mtu=_SMALL_MTU)

    def away(self, from_s: float, until_s: float) -> bool:
        """Whether it was away at any moment between two."""
        seconds = range(max(0, int(from_s)), min(self.length_s, int(until_s) + 1))
        return any(self.kbit_s[second] == 0 for second in seconds)


def traces(length_s: int = 25) -> list[Trace]:
    """The six of the benchmark, at their full rates."""
    half = length_s * 2 // 5
    saw = tuple(400.0 + 1600.0 * (second % 8) / 7 for second in range(length_s))
    return [
        Trace("steady 0.5 Mbit/s", _steady(500, length_s)),
        Trace("steady 2 Mbit/s", _steady(2000, length_s)),
        Trace("step 4 to 0.3 Mbit/s", _steady(4000, half) + _steady(300, length_s - half)),
        Trace("sawtooth 0.4 to 2 Mbit/s", saw),
        Trace("mobile with outages", _MOBILE_KBIT_S[:length_s]),
        Trace("2 Mbit/s, 2 % loss, 80 ms", _steady(2000, length_s), loss=0.02, one_way_s=0.08),
    ]


def _steady(kbit_s: float, length_s: int) -> tuple[float, ...]:
    return (float(kbit_s),) * length_s
