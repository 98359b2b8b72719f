"""Ray Serve's replica autoscaling.

Sources: docs.ray.io, "Advanced Ray Serve Autoscaling" and ``ray.serve.config.AutoscalingConfig``
(target_ongoing_requests 2, upscale_delay_s 30, downscale_delay_s 600, metrics_interval_s 10, look_back_period_s 30,
factors 1); ``python/ray/serve/autoscaling_policy.py``.

Ongoing requests, in replicas and queued before them, are averaged over the look-back period and pushed every metrics
interval. ``desired = ceil(current + factor * (current * ongoing / (target * current) - current))``, ``current`` being
the running replicas; the target changes when ``desired`` was above it (or below) at every round of the delay. From none
to one without delay.

The controller's round is 0.1 s; here it is one step of the model, and the delays are kept in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from orchestrator.scaling.simulate.scaler import SimulatedLoad, SimulatedTarget, WindowMean


@dataclass(frozen=True, slots=True)
class RayServeSettings:
    """``AutoscalingConfig``, less the bounds, which the world sets."""

    target_ongoing_requests: float = 2.0
    upscale_delay_s: float = 30.0
    downscale_delay_s: float = 600.0
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0
    look_back_period_s: float = 30.0
    metrics_interval_s: float = 10.0


class RayServe:
    """The controller of one deployment."""

    interval_s = 1.0

    def __init__(self, settings: RayServeSettings, max_replicas: int, min_replicas: int = 1) -> None:
        self._settings = settings
        self._bounds = min_replicas, max_replicas
        self._ongoing = WindowMean(settings.look_back_period_s)
        self._next_push_s = 0.0
        self._pushed: float | None = None
        self._target: int | None = None
        self._above_since_s: float | None = None
        self._below_since_s: float | None = None

    def look(self, seen: SimulatedLoad) -> SimulatedTarget:
        """One round."""
        if self._target is None:
            self._target = seen.fleet.coming
        if seen.now_s >= self._next_push_s:
            mean = self._ongoing.note(seen.now_s, seen.ongoing_frame_s)
            self._pushed = mean if seen.now_s > 0 else None
            self._next_push_s += self._settings.metrics_interval_s
        if self._pushed is not None:
            self._target = self._decide(self._pushed, seen.fleet.ready, self._target, seen.now_s)
        return SimulatedTarget(self._target)

    def _decide(self, ongoing: float, running: int, target: int, now_s: float) -> int:
        if running == 0:
            first = math.ceil(self._settings.upscaling_factor)
            return max(first, target) if ongoing > 0 else target
        least, most = self._bounds
        desired = max(least, min(most, desired_replicas(ongoing, running, self._settings)))
        self._above_since_s = _since(self._above_since_s, now_s) if desired > target else None
        self._below_since_s = _since(self._below_since_s, now_s) if desired < target else None
        if self._above_since_s is not None and now_s - self._above_since_s >= self._settings.upscale_delay_s:
            self._above_since_s = None
            return desired
        if self._below_since_s is not None and now_s - self._below_since_s >= self._settings.downscale_delay_s:
            self._below_since_s = None
            return desired if target == 1 else max(1, desired)
        return target


def desired_replicas(ongoing: float, running: int, settings: RayServeSettings) -> int:
    """Replicas before bounds and delays."""
    wanted = ongoing / settings.target_ongoing_requests
    factor = settings.upscaling_factor if wanted > running else settings.downscaling_factor
    scaled = math.ceil(round(running + factor * (wanted - running), 9))
    if math.ceil(wanted) < running and scaled == running:
        return scaled - 1
    return scaled


def _since(began_s: float | None, now_s: float) -> float:
    return now_s if began_s is None else began_s
