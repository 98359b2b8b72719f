"""When another design has been better for long enough. Pure.

A cumulative sum (E. S. Page, "Continuous Inspection Schemes", Biometrika 1954) for each design that is not in use: how
much better it is at this moment, as a share of the cost of the one in use and less a margin, times the time since the
last look, never below zero. Where a sum reaches a threshold, the best design of that moment takes over, and all begin
anew.

- **A great advantage is taken soon, a small one late, one within the margin never**: twice as good with a threshold of
  0.3 s and a margin of 0.04 takes 0.65 s, a fifth better 1.9 s.
- **No flapping.** An advantage is at most 1, so a sum grows by at most ``1 - margin`` a second, and two switches are at
  least ``threshold / (1 - margin)`` seconds apart, whatever is measured. Who goes back to a design left less than three
  seconds before doubles the threshold, up to eight times; every ten seconds without such a return halve it again. So
  in a time T there are at most ``1 + T (1 - margin) / threshold`` switches, and if they only go to and fro, in the long
  run no more than one in three seconds or an eighth of that, whichever is more. Measurements that move the ratio of two
  costs by less than the margin cause none.
- **What takes long is not begun lightly.** A frame that is begun occupies the device, unless another design begins it
  anew. So a design's threshold is at least a quarter of the time of its head (who waits as long as it would be bound
  loses at most as much as by being bound: Karlin et al., "Competitive snoopy caching", 1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from narrows.contract.schedule.objective import Rank, first


@dataclass(frozen=True, slots=True)
class Settings:
    """How soon another design takes over.

    Attributes:
        margin: an advantage that is none, as a share.
        threshold_s: seconds at full advantage.
        return_s: who goes back within it waits longer.
        forget_s: without such a return for so long, half as long again.
        longest_step_s: what a look counts for at most, however long ago the last one was.
        most_doublings: of the threshold.
        head_share: of the time of a design's head that its threshold has at least.
    """

    margin: float = 0.04
    threshold_s: float = 0.3
    return_s: float = 3.0
    forget_s: float = 10.0
    longest_step_s: float = 1.0
    most_doublings: int = 3
    head_share: float = 0.25

    @property
    def least_dwell_s(self) -> float:
        """Two switches are at least so far apart."""
        return self.threshold_s / (1 - self.margin)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A design at this moment: its rank, the lower the better, and the seconds that its head takes."""

    rank: Rank
    device_s: float


@dataclass
class Hysteresis:
    """Which design is in use. Designs are numbered."""

    settings: Settings = field(default_factory=Settings)
    _sums_s: dict[int, float] = field(default_factory=dict)
    _left_s: dict[int, float] = field(default_factory=dict)
    _looked_s: float | None = None
    _doublings: int = 0
    _returned_s: float = 0.0

    def step(self, current: int, candidates: Sequence[Candidate], now_s: float) -> int:
        """The design to use from now on."""
        step_s = 0.0 if self._looked_s is None else min(now_s - self._looked_s, self.settings.longest_step_s)
        self._looked_s = now_s
        self._forget(now_s)
        for number, candidate in enumerate(candidates):
            gained = (advantage(candidates[current].rank, candidate.rank) - self.settings.margin) * step_s
            self._sums_s[number] = max(0.0, self._sums_s.get(number, 0.0) + gained)
        due = [number for number, each in enumerate(candidates) if self._sums_s[number] >= self._threshold_s(each)]
        if not due:
            return current
        best = first([each.rank for each in candidates])
        if self._sums_s[best] < self.settings.head_share * candidates[best].device_s:
            best = due[first([candidates[number].rank for number in due])]
        if advantage(candidates[current].rank, candidates[best].rank) <= self.settings.margin:
            return current
        self.leave(current, best, now_s)
        return best

    def leave(self, current: int, chosen: int, now_s: float) -> None:
        """Another takes over: all sums begin anew."""
        if now_s - self._left_s.get(chosen, -self.settings.return_s) < self.settings.return_s:
            self._doublings = min(self._doublings + 1, self.settings.most_doublings)
            self._returned_s = now_s
        self._left_s[current] = now_s
        self.begin_anew(now_s)

    def begin_anew(self, now_s: float) -> None:
        """No design has an advantage yet."""
        self._sums_s.clear()
        self._looked_s = now_s

    def _threshold_s(self, candidate: Candidate) -> float:
        return max(self.settings.threshold_s * (1 << self._doublings), self.settings.head_share * candidate.device_s)

    def _forget(self, now_s: float) -> None:
        while self._doublings and now_s - self._returned_s >= self.settings.forget_s:
            self._doublings -= 1
            self._returned_s += self.settings.forget_s


def advantage(current: Rank, other: Rank) -> float:
    """How much better another is, as a share of the cost of the one in use: 1 if it keeps constraints that one breaks.

    Where both break constraints, the excess is compared in the same way. At most 1; below 0 for a worse one.
    """
    for mine, theirs in zip(current[:2], other[:2], strict=True):
        if mine > 0 and theirs == 0:
            return 1.0
        if mine != theirs:
            return 1 - theirs / mine if mine > 0 else -1.0
    if current.cost <= 0:
        return 0.0 if other.cost <= 0 else -1.0
    return max(-1.0, 1 - other.cost / current.cost)
