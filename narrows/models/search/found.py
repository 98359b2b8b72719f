"""A network that a search found, and how files show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from narrows.models.search.config import SearchConfig
from narrows.models.search.cost import CameraCost
from narrows.models.search.space import Candidate


@dataclass(frozen=True)
class Found:
    """A network that was looked at and is within every limit.

    Attributes:
        proxy: larger is better.
        miou, bits_per_pixel: after a short training, on pictures held out; ``None`` before.
        measured_ms: of the whole network on the device; ``None`` where there is none to ask.
    """

    candidate: Candidate
    cost: CameraCost
    proxy: float
    miou: float | None = None
    bits_per_pixel: float | None = None
    measured_ms: float | None = None

    @property
    def camera_ms(self) -> float:
        """Measured whole where it was, else the sum of its blocks."""
        return (self.cost.latency_ms or 0.0) if self.measured_ms is None else self.measured_ms

    @property
    def point(self) -> tuple[float, float]:
        """What fronts compare: time, and the accuracy or what stands for it, negative."""
        return self.camera_ms, -(self.proxy if self.miou is None else self.miou)


def as_row(found: Found, config: SearchConfig) -> dict[str, Any]:
    """As the rows of `make bench-frontier`, with the shape beside."""
    return {
        "budget_gmac": found.cost.macs / 1e9,
        "design": config.design.value,
        "camera_gmac": found.cost.macs / 1e9,
        "camera_ms": found.camera_ms,
        "predicted_ms": found.cost.latency_ms,
        "camera_parameters": found.cost.weights_bytes,
        "peak_mb": found.cost.peak_bytes / 1e6,
        "bits_per_pixel": found.bits_per_pixel,
        "cloud_gmac": config.cloud_gmac if config.design.has_cloud else 0.0,
        "miou": found.miou,
        "proxy": found.proxy,
        "seeds": [config.seed],
        **found.candidate.record,
    }
