"""What one more instance in a server brings, as far as it was learned."""

from __future__ import annotations

import math
from collections.abc import Mapping

_LEAST = 1e-6


def learned(server_frames_per_s: Mapping[int, float]) -> dict[int, float]:
    """The entries that mean something: at least one instance, a finite rate well above zero."""
    return {n: rate for n, rate in server_frames_per_s.items() if n >= 1 and math.isfinite(rate) and rate > _LEAST}


def capacity(rates: Mapping[int, float], instances: int) -> float | None:
    """Frames that a server of so many instances does each second; ``None`` where nothing was learned.

    Where this number of instances was not seen yet, the nearest lower one speaks for it (a further instance is
    promised nothing); where only higher ones were seen, the lowest of them in proportion.
    """
    if instances in rates:
        return rates[instances]
    lower = [n for n in rates if n < instances]
    if lower:
        return rates[max(lower)]
    if rates:
        seen = min(rates)
        return rates[seen] * instances / seen
    return None


def gain(rates: Mapping[int, float], instances: int) -> float | None:
    """Share that the last of ``instances`` brings over one fewer; ``None``: not learned yet."""
    if instances not in rates or instances - 1 not in rates:
        return None
    return rates[instances] / rates[instances - 1] - 1
