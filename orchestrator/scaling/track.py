"""One number that is steered, servers or instances: up at once, down only after a window. Here flapping ends.

The argument: a track goes down only at a moment ``now`` with ``now >= raised_s + window``, ``raised_s`` the time of
its last way up. So between a way up and the next way down lies at least a window, and in any span shorter than the
window there is no way down after a way up: what is left are ways down followed by ways up, one reversal at most.
This holds whatever the signals say. What is no choice of the policy passes beside it (:meth:`SteeredTarget.set`): an
operator's number, a lowered maximum, a change that the engine refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class SteeredTarget:
    """A target and what its next way down depends on.

    Attributes:
        target: what is asked for.
        raised_s: when it was last raised, or first known.
        changed_s: when it was last changed, either way; what is judged after a change waits from then on.
        recent: what was wanted lately, (time, number): only those that no later one exceeds, so numbers fall.
    """

    target: int
    raised_s: float
    changed_s: float
    recent: tuple[tuple[float, int], ...] = ()

    @classmethod
    def begin(cls, target: int, now_s: float, *, changed_s: float) -> SteeredTarget:
        """Begin with what is there. Nothing is known of the past, so a whole window is awaited."""
        return cls(target, now_s, changed_s, ((now_s, target),))

    def note(self, wanted: int, window_s: float, now_s: float) -> SteeredTarget:
        """Remember what was wanted now; forget what is older than the window."""
        kept = [each for each in self.recent if each[1] > wanted and each[0] > now_s - window_s]
        return replace(self, recent=(*kept, (now_s, wanted)))

    def move(self, wanted: int, window_s: float, now_s: float) -> SteeredTarget:
        """Go up to ``wanted`` at once; down to the most that was wanted within the window, once it has passed."""
        if wanted > self.target:
            return replace(self, target=wanted, raised_s=now_s, changed_s=now_s)
        lowest = max([wanted, *(number for _, number in self.recent)])
        if lowest < self.target and now_s - self.raised_s >= window_s:
            return replace(self, target=lowest, changed_s=now_s)
        return self

    def set(self, target: int, now_s: float) -> SteeredTarget:
        """Be told a number, whatever the window says."""
        if target == self.target:
            return self
        raised_s = now_s if target > self.target else self.raised_s
        return replace(self, target=target, raised_s=raised_s, changed_s=now_s)

    def revert(self, target: int, now_s: float) -> SteeredTarget:
        """Go back to what the engine took last. A refused way up still counts as one, so the window stays."""
        return self if target == self.target else replace(self, target=target, changed_s=now_s)
