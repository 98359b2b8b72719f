"""Whether an autoscaler lives, and whether it sees: what the probes are told."""

from __future__ import annotations

import time
from collections.abc import Callable


class AutoscalerHealth:
    """Written by the rounds, read by the probes.

    Attributes:
        trouble: why the last round was given up; empty where it was not.
        stopping: whether the process is about to end.
    """

    def __init__(self, patience_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.trouble = "has not looked yet"
        self.stopping = False
        self._patience_s, self._monotonic = patience_s, monotonic
        self._well_s = monotonic()

    def went_well(self) -> None:
        """A round came to its end."""
        self.trouble, self._well_s = "", self._monotonic()

    def alive(self) -> dict[str, object]:
        """The body of ``/healthz``: that it is answered at all says that the loop runs."""
        return {"alive": True, "round_age_s": round(self._monotonic() - self._well_s, 3)}

    def reasons_not_ready(self) -> list[str]:
        """Why no decision should be expected; empty if one may."""
        reasons = ["stopping"] if self.stopping else []
        if self.trouble:
            reasons.append(self.trouble)
        elif (age_s := self._monotonic() - self._well_s) > self._patience_s:
            reasons.append(f"the last look was {age_s:.0f} s ago")
        return reasons
