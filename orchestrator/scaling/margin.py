"""How far below full load to aim: learned from the lateness that a lower aim would have prevented.

While frames end late, the highest load that the ready servers saw is kept. When it is over, one question is asked:
with the lowest aim allowed, would that load have stayed within what servers can do? If so, the aim is lowered to where
it just would have. If not - a fleet that grew tenfold - no margin worth its price would have helped.
Without lateness the aim returns slowly to the highest. So a calm fleet runs close to full load, and one whose cameras
come back in bursts keeps room for the bursts that it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.scaling.settings import PolicySettings

_OVER_S = 10.0
_SPARE = 0.02


@dataclass(frozen=True, slots=True)
class Margin:
    """The aim, and the lateness that goes on.

    Attributes:
        load: offered work over capacity that is aimed at.
        noted_s: when it was last looked at.
        peak: highest load of the ready servers since frames began to end late; 0: none does.
        late_s: when frames last ended late.
    """

    load: float
    noted_s: float
    peak: float = 0.0
    late_s: float = 0.0

    def note(self, load: float, settings: PolicySettings, now_s: float, *, late: bool) -> Margin:
        """Learn from this moment's load, and whether frames end late at it."""
        if late:
            return replace(self, peak=max(self.peak, load), late_s=now_s, noted_s=now_s)
        lowest = min(settings.lowest_load, settings.target_load)
        rise = (settings.target_load - lowest) * max(0.0, now_s - self.noted_s) / settings.margin_memory_s
        eased = replace(self, load=min(settings.target_load, self.load + rise), noted_s=now_s)
        if self.peak == 0 or now_s - self.late_s < _OVER_S:
            return eased
        needed = self.load / self.peak - _SPARE
        avoidable = self.peak > 1 and needed >= lowest
        return replace(eased, peak=0.0, load=min(eased.load, needed) if avoidable else eased.load)
