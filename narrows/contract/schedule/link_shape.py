"""How much longer a larger packet takes on a link. Pure.

::

    bytes that it ▲                  ╱
    counts for    │               ╱     a packet of 20 kB took that long a while ago
                  │           ●╱
                  │        ╱
                  │     ╱        nearly all of it beyond what passes a shaper's bucket at once
                  │   ╱
                  │ ●       packets of 1.5 kB, acknowledged of late: by these goodput is measured
                  └──────────────────────────────► bytes of a packet

Were time in proportion to bytes, one goodput would say it all. It is not: what fits into a shaper's token bucket passes
at once, so behind a small packet a thin link looks wide; and a device that is slow to notice its acknowledgements takes
as long over a small packet as over a large one, so a wide link looks thin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class LinkShape:
    """A packet takes as long as what it counts for, in bytes, at the measured goodput.

    Attributes:
        points: bytes of a packet, and the bytes that it counts for; neither ever falls from one to the next. The first
            is of the packets by which goodput is measured. Below it time is in proportion, between two it is on a line.
        beyond: what each byte beyond the last of them counts for.
    """

    points: tuple[tuple[float, float], ...] = ()
    beyond: float = 1.0

    @property
    def measured_bytes(self) -> float:
        """Of the packets by which goodput is measured; 0 where none is."""
        return self.points[0][0] if self.points else 0.0

    def counts_for(self, size_bytes: float) -> float:
        """What a packet counts for."""
        left_bytes, left = 0.0, 0.0
        for right_bytes, right in self.points:
            if size_bytes <= right_bytes:
                return left + (right - left) * (size_bytes - left_bytes) / (right_bytes - left_bytes)
            left_bytes, left = right_bytes, right
        return left + (size_bytes - left_bytes) * self.beyond

    def at_least(self, size_bytes: float, counts_for: float) -> Self:
        """A packet of this size counts for so much or more, and a larger one for no less."""
        if counts_for <= self.counts_for(size_bytes):
            return self
        smaller = [point for point in self.points if point[0] < size_bytes]
        larger = [(each, max(counted, counts_for)) for each, counted in self.points if each > size_bytes]
        return type(self)((*smaller, (size_bytes, counts_for), *larger), max(self.beyond, counts_for / size_bytes))


IN_PROPORTION = LinkShape()
"""What is taken of a link of which nothing else is known."""
