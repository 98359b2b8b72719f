"""Which frames met the objective: a mask within 500 ms of the entry id, on the server's clock."""

from __future__ import annotations

from narrows.contract.errors import InferenceFailed
from narrows.contract.wire.outcome import MASK, SKIPPED
from narrows.contract.wire.streams import Policy
from orchestrator.dispatch.endings import Ending
from orchestrator.telemetry.metrics import Metrics


class Objective:
    """Counts how frames ended against it. What a camera is to blame for, a refused packet, counts neither way.

    Attributes:
        realtime_ended, realtime_late: realtime frames that were counted, and those of them that missed it.
    """

    def __init__(self, slo_ms: float, metrics: Metrics) -> None:
        self._slo_ms = slo_ms
        self._counters = {
            (policy, within): metrics.slo_frames.labels(policy.value, "yes" if within else "no")
            for policy in Policy
            for within in (True, False)
        }
        self.realtime_ended = self.realtime_late = 0

    def count(self, policy: Policy, ending: Ending, took_ms: float) -> None:
        """A frame ended, ``took_ms`` after its entry id."""
        missed = ending.kind == SKIPPED or ending.reason == InferenceFailed.reason
        if ending.kind != MASK and not missed:
            return
        within = not missed and took_ms <= self._slo_ms
        self._counters[policy, within].inc()
        if policy is Policy.REALTIME:
            self.realtime_ended += 1
            self.realtime_late += not within
