"""Neurosurgeon (Kang et al., ASPLOS 2017), algorithm 1.

Before each inference: the time of each layer on device and server by regressions over its configuration, the wireless
bandwidth as it was last measured, the server's load as it was last told; then the layer after which latency (or energy)
is least. What crosses is a layer's output as it is; cuts are between layers, so of one tensor. Where the paper strives
for latency, that is what it strives for here, whatever is judged.

To its favour: it knows the device's speed; the picture may cross as a JPEG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.split.scheduler import Seen
from narrows.contract.schedule import Design

_FULLEST = 0.99


@dataclass(frozen=True)
class Option:
    """A design, with the times that its layers are predicted to take on the machine that was profiled."""

    design: Design
    device_s: float
    server_s: float


class Neurosurgeon:
    """Partition for the least latency."""

    begins_anew = False

    def __init__(self, options: Sequence[Option], quota: float) -> None:
        self._options, self._quota = options, quota

    def choose(self, seen: Seen) -> Design:
        """The partition of least predicted latency."""
        return min(self._options, key=lambda option: self._latency_s(option, seen)).design

    def head_took(self, design: Design, seconds: float, now_s: float) -> None:
        """Its regressions are made once."""

    def _latency_s(self, option: Option, seen: Seen) -> float:
        bandwidth = seen.latest_bytes_per_s
        upload_s = option.design.link_bytes / bandwidth if bandwidth < math.inf else 0.0
        server_s = option.server_s / (1 - min(seen.cloud_load, _FULLEST))
        return option.device_s / self._quota + upload_s + server_s
