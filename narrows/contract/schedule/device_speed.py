"""How fast a device runs what was measured elsewhere: one factor for it, and one for each design. Pure.

Before anything is measured, a design's time on the device is that of the table, or its multiply-accumulates over a
prior speed where the table has none. Every head that is run corrects this:

- **The device's factor** is the weighted median of measured over expected times of the latest heads, each weighted by
  its expected time: the Theil-Sen line through the origin for y = f x with x as weights. A head that was held up
  (paging, another program) moves it by nothing until half of the weight is such.
- **A head that was run of late** (twenty seconds) is known by the median of its own last five. All levels of a cut
  have the same head: one that was not run looks no faster than the one that was. A head that was run longer ago is
  taken to be as much slower or faster than the device's factor as it was then: that much MACs, or another machine's
  profile, say wrongly of its cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from narrows.contract.schedule.table import Design

PRIOR_MACS_PER_S = 5e9
"""Of one small core in float: a Cortex-A76 at 2.4 GHz does 8 multiply-accumulates a cycle at best, a quarter of them
in practice."""
PRIOR_WATTS = 3.0
MEMORY_S, MOST_HEADS, OWN_HEADS = 20.0, 15, 5
_LEAST_S = 1e-4


@dataclass(frozen=True, slots=True)
class _Head:
    at_s: float
    expected_s: float
    ratio: float


@dataclass
class _Own:
    """A head's latest times; ``beside``: their median over the device's factor when the last was run."""

    heads: deque[_Head] = field(default_factory=lambda: deque(maxlen=OWN_HEADS))
    beside: float = 1.0

    @property
    def ratio(self) -> float:
        return median(head.ratio for head in self.heads)


@dataclass
class DeviceSpeed:
    """What one device's heads took. Times are those of the device with nothing else to do."""

    prior_macs_per_s: float = PRIOR_MACS_PER_S
    _heads: deque[_Head] = field(default_factory=lambda: deque(maxlen=MOST_HEADS))
    _own: dict[str | int, _Own] = field(default_factory=dict)
    _factor: float = 1.0

    @property
    def factor(self) -> float:
        """Measured over expected."""
        return self._factor

    @property
    def measured(self) -> bool:
        """Whether any head was run."""
        return bool(self._heads)

    def expected_s(self, design: Design) -> float:
        """By the table, or by MACs."""
        if design.device_s is not None:
            return design.device_s
        return design.device_macs / self.prior_macs_per_s

    def seconds(self, design: Design) -> float:
        """What its head takes on this device."""
        return self.expected_s(design) * self._ratio(_head_of(design))

    def energy_j(self, design: Design) -> float:
        """Joules of its head: the table's, scaled as its time is; where it has none, by its time and a prior power."""
        if design.device_energy_j:
            return design.device_energy_j * self._ratio(_head_of(design))
        return PRIOR_WATTS * self.seconds(design)

    def took(self, design: Design, seconds: float, device_load: float, now_s: float) -> None:
        """A head was run in so long, while others took a share of the device."""
        expected_s = self.expected_s(design)
        if expected_s < _LEAST_S or not 0 < seconds < math.inf:
            return
        alone_s = max(seconds * (1 - min(max(device_load, 0.0), 0.99)), _LEAST_S)
        head = _Head(now_s, expected_s, alone_s / expected_s)
        self._heads.append(head)
        while self._heads[0].at_s < now_s - MEMORY_S:
            self._heads.popleft()
        self._factor = _weighted_median(self._heads)
        own = self._own.setdefault(_head_of(design), _Own())
        if own.heads and own.heads[-1].at_s < now_s - MEMORY_S:
            own.heads.clear()
        own.heads.append(head)
        own.beside = own.ratio / self._factor

    def _ratio(self, head: str | int) -> float:
        own = self._own.get(head)
        if own is None:
            return self._factor
        recent = self._heads[-1].at_s - own.heads[-1].at_s <= MEMORY_S
        return own.ratio if recent else self._factor * own.beside


def _head_of(design: Design) -> str | int:
    """Its cut, or where nothing is cut its name."""
    return design.name if design.cut is None else design.cut


def _weighted_median(heads: Sequence[_Head]) -> float:
    half, passed = sum(head.expected_s for head in heads) / 2, 0.0
    for head in sorted(heads, key=lambda each: each.ratio):
        passed += head.expected_s
        if passed >= half:
            return head.ratio
    raise AssertionError("weights sum to their sum")
