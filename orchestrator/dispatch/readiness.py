"""How many of its bundles a dispatcher cannot decode, told so that shards do not go to and fro. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Bundle:
    ready: bool = False
    seen_ready: bool = False
    differs_since_s: float | None = None


class Readiness:
    """What is told of each bundle follows its decoder once that has been otherwise for ``settle_s``.

    A bundle begins as not ready, and the first decoder that is ready is believed at once: so a dispatcher that starts
    takes no shard before it can decode, and waits no longer than that.
    """

    def __init__(self, settle_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settle_s, self._monotonic = settle_s, monotonic
        self._bundles: dict[str, _Bundle] = {}

    def missing(self, ready: Mapping[str, bool]) -> int:
        """How many bundles are not ready, given which are just now."""
        now_s = self._monotonic()
        for name, is_ready in ready.items():
            bundle = self._bundles.setdefault(name, _Bundle())
            if is_ready == bundle.ready:
                bundle.differs_since_s = None
                continue
            if bundle.differs_since_s is None:
                bundle.differs_since_s = now_s
            if not bundle.seen_ready or now_s - bundle.differs_since_s >= self._settle_s:
                bundle.ready, bundle.differs_since_s = is_ready, None
                bundle.seen_ready = True
        return sum(1 for name in ready if not self._bundles[name].ready)
