"""DADS (Hu et al., INFOCOM 2019): a minimum cut for the least latency while there is little to do, else for throughput.

Its monitor measures the network; the times of layers are profiled on the very device and server. With frames coming at
a rate Q it is lightly loaded while device, link and server each end a frame before the next comes, and then takes the
minimum cut (DSL); else it makes the slowest of the three fastest, for which the paper has an approximation (DSH) and
this the best of all cuts. What crosses are tensors as they are, several if need be. Loads of others are not modelled.

To its favour: the picture may cross as a JPEG; all minimum cuts of many bandwidths are at hand beside those of the
profile, so the choice is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.split.scheduler import Seen
from narrows.contract.schedule import Design


class Dads:
    """Light or heavy workload, then the cut."""

    begins_anew = False

    def __init__(self, designs: Sequence[Design], quota: float, frames_per_s: float) -> None:
        self._designs, self._quota, self._frames_per_s = designs, quota, frames_per_s

    def choose(self, seen: Seen) -> Design:
        """By DSL if its cut keeps up with the frames, else by DSH."""
        light = min(self._designs, key=lambda design: sum(self._stages_s(design, seen)))
        if max(self._stages_s(light, seen)) < 1 / self._frames_per_s:
            return light
        return min(self._designs, key=lambda design: (max(self._stages_s(design, seen)), design.link_bytes))

    def head_took(self, design: Design, seconds: float, now_s: float) -> None:
        """Its profile is made once."""

    def _stages_s(self, design: Design, seen: Seen) -> tuple[float, float, float]:
        bandwidth = seen.latest_bytes_per_s
        link_s = design.link_bytes / bandwidth if bandwidth < math.inf else 0.0
        return (design.device_s or 0.0) / self._quota, link_s, design.server_s
