"""How long the window before a way down is: longer where servers that went were soon missed.

A fleet whose uplinks fail and return wants its servers kept through the gap; one whose crowd goes home wants them gone.
Which it is shows afterwards: when, soon after a descent, more than half of what went is asked for again, letting it go
was a mistake, and the window grows fourfold. A descent that nothing regretted halves it. Descents by less than a third
teach nothing: a server more or less is noise. It stays between the two
settings, so what :mod:`.track` says of its window holds of the shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.scaling.settings import PolicySettings

_LONGER, _SHORTER = 4.0, 0.5
_DEEP = 1 / 3


@dataclass(frozen=True, slots=True)
class ScaleDownWindow:
    """The window, and the last descent.

    Attributes:
        window_s: before servers may go.
        fell_s: when the last one went; ``None``: never.
        fell_from: servers before the descent.
        regretted: the descent was a mistake, and was counted as one.
    """

    window_s: float
    fell_s: float | None = None
    fell_from: int = 0
    regretted: bool = False

    def after(self, before: int, after: int, settings: PolicySettings, now_s: float) -> ScaleDownWindow:
        """Learn from a change of the servers from ``before`` to ``after``."""
        soon = self.fell_s is not None and now_s - self.fell_s < settings.regret_s
        if after < before:
            if soon:
                return replace(self, fell_s=now_s)
            shorter_s = self.window_s if self.regretted else self.window_s * _SHORTER
            return ScaleDownWindow(max(settings.stabilisation_s, shorter_s), now_s, before)
        deep = self.fell_from - before >= _DEEP * self.fell_from
        if after > before and soon and deep and not self.regretted and 2 * after >= self.fell_from + before:
            longest_s = max(settings.stabilisation_s, settings.longest_stabilisation_s)
            return replace(self, window_s=min(longest_s, self.window_s * _LONGER), regretted=True)
        return self
