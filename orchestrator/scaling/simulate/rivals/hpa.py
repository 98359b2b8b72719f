"""Kubernetes' HorizontalPodAutoscaler, ``autoscaling/v2``.

Sources: kubernetes.io, "Horizontal Pod Autoscaling" (algorithm details, tolerance, configurable scaling behaviour and
its default) and the API reference of ``HPAScalingRules``; where they leave the arithmetic open,
``pkg/controller/podautoscaler/{replica_calculator,horizontal}.go``.

- every 15 s: ``desired = ceil(current * metric / target)``, nothing within a tolerance of 0.1;
- a utilisation is averaged over ready pods; pods that are not ready count as 0 % when the answer is up, and if
  that turns the direction or falls into the tolerance, nothing changes;
- an external or object metric with ``AverageValue``: ``ceil(total / target)``, outside the tolerance;
- up: the larger of 100 % and 4 pods each 15 s, no stabilisation; down: 100 % each 15 s, and not below the highest
  recommendation of the last 300 s.

To its favour: metrics are fresh and averaged over the sync period only (a metrics server adds up to 15 s).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from orchestrator.scaling.simulate.scaler import SimulatedLoad, SimulatedTarget, WindowMean

HPA_SYNC_S = 15.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``spec.behavior``.

    Attributes:
        up_percent, up_pods: the two ways-up policies, each per 15 s; the larger counts.
        down_percent: the way-down policy, per 15 s.
        up_stabilisation_s, down_stabilisation_s: ``stabilizationWindowSeconds``.
        tolerance: no change when the ratio is this near to 1.
    """

    up_percent: float = 100.0
    up_pods: int = 4
    down_percent: float = 100.0
    up_stabilisation_s: float = 0.0
    down_stabilisation_s: float = 300.0
    tolerance: float = 0.1


class Brakes:
    """Stabilisation and rate limits: from recommendations to a target."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._recommended: deque[tuple[float, int]] = deque()
        self._changes: deque[tuple[float, int]] = deque()

    def apply(self, recommended: int, current: int, now_s: float) -> int:
        """The target for a recommendation."""
        rules = self._behaviour
        self._recommended.append((now_s, recommended))
        longest_s = max(rules.up_stabilisation_s, rules.down_stabilisation_s)
        while self._recommended[0][0] < now_s - longest_s:
            self._recommended.popleft()
        lowest = min(n for at_s, n in self._recommended if at_s >= now_s - rules.up_stabilisation_s)
        highest = max(n for at_s, n in self._recommended if at_s >= now_s - rules.down_stabilisation_s)
        target = min(max(current, lowest), highest)
        target = self._within_rate(target, current, now_s)
        if target != current:
            self._changes.append((now_s, target - current))
        return target

    def _within_rate(self, target: int, current: int, now_s: float) -> int:
        rules = self._behaviour
        while self._changes and self._changes[0][0] <= now_s - HPA_SYNC_S:
            self._changes.popleft()
        before = current - sum(change for _, change in self._changes)
        if target > current:
            most = max(before + rules.up_pods, math.ceil(before * (1 + rules.up_percent / 100)))
            return max(current, min(target, most))
        least = math.floor(before * (1 - rules.down_percent / 100))
        return min(current, max(target, least))


@dataclass(frozen=True, slots=True)
class HpaSettings:
    """An HPA object.

    Attributes:
        metric: ``utilisation``, a resource metric in per cent of what a server has; ``frames``, a custom metric:
            frames/s of each server.
        target: 0 to 1, share of a server's processor time (default 80 %, as ``kubectl autoscale`` without a target), or
            of the frames/s that it can do.
    """

    metric: Literal["utilisation", "frames"] = "utilisation"
    target: float = 0.8
    up_percent: float = 100.0
    up_pods: int = 4
    down_stabilisation_s: float = 300.0
    tolerance: float = 0.1


class Hpa:
    """One HPA with its controller."""

    interval_s = HPA_SYNC_S

    def __init__(self, settings: HpaSettings, server_frames_per_s: float) -> None:
        self._settings = settings
        self._server_frames_per_s = server_frames_per_s
        self._brakes = Brakes(
            Behaviour(
                up_percent=settings.up_percent,
                up_pods=settings.up_pods,
                down_stabilisation_s=settings.down_stabilisation_s,
                tolerance=settings.tolerance,
            )
        )
        self._busy, self._ready = WindowMean(HPA_SYNC_S), WindowMean(HPA_SYNC_S)
        self._offered = WindowMean(HPA_SYNC_S)

    def look(self, seen: SimulatedLoad) -> SimulatedTarget:
        """One sync."""
        settings, fleet = self._settings, seen.fleet
        busy, ready = self._busy.note(seen.now_s, seen.busy_server_s), self._ready.note(seen.now_s, seen.ready_server_s)
        offered_per_s = self._offered.note(seen.now_s, seen.offered_frames)
        current = fleet.coming
        if seen.now_s == 0 or fleet.ready == 0:
            return SimulatedTarget(current)
        if settings.metric == "frames":
            target = self._server_frames_per_s * settings.target
            desired = per_pod_replicas(offered_per_s, target, current, settings.tolerance)
        else:
            utilisation = busy / ready if ready > 0 else 0.0
            desired = utilisation_replicas(utilisation, settings.target, fleet.ready, current, settings.tolerance)
        return SimulatedTarget(self._brakes.apply(desired, current, seen.now_s))


def utilisation_replicas(utilisation: float, target: float, ready: int, current: int, tolerance: float) -> int:
    """Replicas for a mean utilisation of the ready pods, those not ready handled as documented."""
    ratio = utilisation / target
    unready = current - ready
    if unready <= 0 or ratio <= 1:
        return current if abs(ratio - 1) <= tolerance else math.ceil(_tidy(ratio * ready))
    diluted = ratio * ready / current
    if abs(diluted - 1) <= tolerance or diluted < 1:
        return current
    return max(current, math.ceil(_tidy(diluted * current)))


def per_pod_replicas(total: float, target: float, current: int, tolerance: float) -> int:
    """Replicas for an external or object metric with a target of type ``AverageValue``."""
    if current and abs(total / (target * current) - 1) <= tolerance:
        return current
    return math.ceil(_tidy(total / target))


def _tidy(value: float) -> float:
    """Without the last bits, so that 3.0000000000000004 pods are three."""
    return round(value, 9)
