"""A counter that costs a frame little: it has no lock, for it is moved and read in the event loop alone."""

from __future__ import annotations

from prometheus_client import Counter


class _Plain:
    """What prometheus_client asks of a value."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def get(self) -> float:
        return self.value

    def get_exemplar(self) -> None:
        """There are none."""


class LoopCounter(Counter):
    """Counts what every frame moves. Its series are those of any counter."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._value = _Plain()

    def inc(self, amount: float = 1, _: object = None) -> None:
        """Count up, by what is not negative; exemplars are not kept."""
        self._value.value += amount
