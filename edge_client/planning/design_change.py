"""What the journal says of a change of design."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from narrows.contract.schedule import Conditions, Decision, Design
from narrows.contract.wire import FrameIdentity


@dataclass(frozen=True, slots=True)
class DesignChange:
    """Another design took over.

    Attributes:
        design, before: by name; ``None``: there was none before.
        reason: why, a :class:`~narrows.contract.schedule.Reason`.
        first: the first frame that is coded at it.
        latency_s: what the planner takes a frame to need at it.
        seen: what was measured.
    """

    design: str
    before: str | None
    reason: str
    first: FrameIdentity
    latency_s: float
    seen: Conditions

    @classmethod
    def of(cls, decision: Decision, before: Design | None, first: FrameIdentity) -> Self:
        """From a decision that switched."""
        chosen = decision.chosen
        return cls(
            design=chosen.design.name,
            before=None if before is None else before.name,
            reason=decision.reason.value,
            first=first,
            latency_s=chosen.estimate.latency_s,
            seen=decision.seen,
        )

    def line(self) -> dict[str, object]:
        """As the journal has it: one JSON object."""
        seen = self.seen
        return {
            "design": self.design,
            "before": self.before,
            "reason": self.reason,
            "epoch": self.first.epoch,
            "from_sequence": self.first.sequence,
            "expected_latency_ms": round(self.latency_s * 1e3, 1),
            "goodput_bytes_per_s": None if math.isinf(seen.goodput_bytes_per_s) else round(seen.goodput_bytes_per_s),
            "round_trip_ms": round(seen.round_trip_s * 1e3, 1),
            "device_load": round(seen.device_load, 3),
            "overhead_ms": round(seen.overhead_s * 1e3, 1),
            "temperature_c": seen.temperature_c,
            "cloud_load": round(seen.cloud_load, 3),
            "size_ratio": round(seen.size_ratio, 3),
        }
