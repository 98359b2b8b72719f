"""One design from beginning to end: device only, server only, and each of the others for the best in hindsight."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.split.scheduler import Seen
from narrows.contract.schedule import Design


@dataclass(frozen=True)
class Static:
    """Always the same."""

    begins_anew = False

    design: Design

    def choose(self, seen: Seen) -> Design:
        """It."""
        del seen
        return self.design

    def head_took(self, design: Design, seconds: float, now_s: float) -> None:
        """Nothing to learn."""
