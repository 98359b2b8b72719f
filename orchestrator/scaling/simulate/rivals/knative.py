"""Knative's pod autoscaler (KPA).

Sources: knative.dev, "Additional autoscaling configuration for KPA", "Configuring concurrency", "Configuring the
requests per second target"; ``config/core/configmaps/autoscaler.yaml`` (stable window 60 s, panic window 10 % of it,
panic threshold 200 %, concurrency target 100 at 70 %, 200 requests/s at 70 %, max-scale-up-rate 1000,
max-scale-down-rate 2, tick 2 s, scale-to-zero grace 30 s); ``pkg/autoscaler/scaling/autoscaler.go``.

``desired = ceil(mean over the stable window / target)``, between the ready pods times the scale-up rate and divided by
the scale-down rate. When the mean of the panic window asks for twice the ready pods, it panics: the higher of both
counts and no pod goes, until a stable window after the last such moment. ``scale-down-delay`` keeps the highest answer.
To none only when nothing came for a stable window, and then a grace period.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from orchestrator.scaling.simulate.scaler import SimulatedLoad, SimulatedTarget, WindowMean


@dataclass(frozen=True, slots=True)
class KnativeSettings:
    """``config-autoscaler`` and a revision's annotations.

    Attributes:
        metric: ``concurrency`` (frames that wait or are in a server) or ``rps`` (frames/s offered).
        target: for each pod, before ``target_utilisation``; ``None``: 100 in flight, or 200 frames/s.
    """

    metric: Literal["concurrency", "rps"] = "concurrency"
    target: float | None = None
    target_utilisation: float = 0.7
    stable_window_s: float = 60.0
    panic_window_share: float = 0.1
    panic_threshold: float = 2.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    scale_down_delay_s: float = 0.0
    scale_to_zero_grace_s: float = 30.0


class Knative:
    """The autoscaler of one revision."""

    interval_s = 2.0

    def __init__(self, settings: KnativeSettings) -> None:
        self._settings = settings
        default = 100.0 if settings.metric == "concurrency" else 200.0
        self._target = (default if settings.target is None else settings.target) * settings.target_utilisation
        self._stable = WindowMean(settings.stable_window_s)
        self._panic = WindowMean(max(1.0, round(settings.stable_window_s * settings.panic_window_share)))
        self._panic_s: float | None = None
        self._panic_pods = 0
        self._delayed: deque[tuple[float, int]] = deque()
        self._zero_since_s: float | None = None

    def look(self, seen: SimulatedLoad) -> SimulatedTarget:
        """One tick."""
        total = seen.ongoing_frame_s if self._settings.metric == "concurrency" else seen.offered_frames
        stable, panic = self._stable.note(seen.now_s, total), self._panic.note(seen.now_s, total)
        if seen.now_s == 0:
            self._panic_s, self._panic_pods = (0.0 if seen.fleet.ready > 1 else None), seen.fleet.ready
            return SimulatedTarget(seen.fleet.coming)
        pods = self._delay(self._desired(stable, panic, seen.fleet.ready, seen.now_s), seen.now_s)
        return SimulatedTarget(self._with_grace(pods, seen))

    def _desired(self, stable: float, panic: float, ready_pods: int, now_s: float) -> int:
        settings, ready = self._settings, max(1, ready_pods)
        most, least = math.ceil(settings.max_scale_up_rate * ready), math.floor(ready / settings.max_scale_down_rate)
        least = least if ready_pods else 0
        for_panic = math.ceil(round(panic / self._target, 9))
        wanted = min(max(math.ceil(round(stable / self._target, 9)), least), most)
        if for_panic / ready >= settings.panic_threshold:
            self._panic_s = now_s
        elif self._panic_s is not None and now_s - self._panic_s > settings.stable_window_s:
            self._panic_s, self._panic_pods = None, 0
        if self._panic_s is not None:
            self._panic_pods = max(self._panic_pods, wanted, min(max(for_panic, least), most))
            return self._panic_pods
        return wanted

    def _delay(self, pods: int, now_s: float) -> int:
        if self._settings.scale_down_delay_s <= 0:
            return pods
        self._delayed.append((now_s, pods))
        while self._delayed[0][0] <= now_s - self._settings.scale_down_delay_s:
            self._delayed.popleft()
        return max(number for _, number in self._delayed)

    def _with_grace(self, pods: int, seen: SimulatedLoad) -> int:
        if pods > 0 or seen.fleet.coming == 0:
            self._zero_since_s = None
            return pods
        if self._zero_since_s is None:
            self._zero_since_s = seen.now_s
        return 0 if seen.now_s - self._zero_since_s >= self._settings.scale_to_zero_grace_s else 1
