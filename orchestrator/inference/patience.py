"""How long an answer may take before whoever owes it is called hung."""

from __future__ import annotations

_LEAST_S = 2.0
_TIMES = 5
_GAIN = 0.125
_OUTLIER = 3


class AnswerDeadline:
    """Five times what answers took of late, between two seconds and ``most_s``.

    What they took is a mean as of TCP's round trips; an outlier counts as three times the mean. Until something was
    answered nothing is known of the machine, and a time-out that doubles what is waited for next keeps a server that
    is only slow from being called hung over and over.
    """

    def __init__(self, most_s: float) -> None:
        self.bound_s = most_s
        self._most_s = most_s
        self._mean_s: float | None = None

    def answered(self, took_s: float) -> None:
        """An answer came."""
        before_s = took_s if self._mean_s is None else self._mean_s
        mean_s = before_s + _GAIN * (min(took_s, _OUTLIER * before_s) - before_s)
        self._mean_s = mean_s
        self.bound_s = min(self._most_s, max(_LEAST_S, _TIMES * mean_s))

    def timed_out(self) -> None:
        """No answer came in time."""
        self.bound_s = min(self._most_s, 2 * self.bound_s)
