"""KEDA's ``redis-streams`` scaler on an HPA.

Sources: keda.sh, "Redis Streams" (triggers) and "Scaling Deployments" (``pollingInterval`` 30 s, ``cooldownPeriod``
300 s); ``pkg/scalers/redis_streams_scaler.go`` (5 entries are the target where none is given).

KEDA itself switches between none and one: every ``pollingInterval`` it activates a deployment whose metric is above the
activation threshold, and takes the last replica away when it was not for ``cooldownPeriod``. From one on, the HPA asks
KEDA for the metric at every sync and has it as an external one with ``AverageValue``, with its own behaviour.

``pendingEntriesCount`` counts what was delivered and not acknowledged: here what waits and what servers have, for a
dispatcher has read all of it. ``lagCount`` counts what no consumer has read: here what waits.

To its favour: one trigger sees all cameras' streams together (a trigger names one stream, and HPA takes the highest
of several, not their sum).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.scaling.simulate.rivals.hpa import HPA_SYNC_S, Behaviour, Brakes, per_pod_replicas
from orchestrator.scaling.simulate.scaler import SimulatedLoad, SimulatedTarget


@dataclass(frozen=True, slots=True)
class KedaSettings:
    """A ScaledObject with one ``redis-streams`` trigger.

    Attributes:
        metric: ``pendingEntriesCount`` or ``lagCount``.
        entries: target for each replica.
        activation_lag: ``activationLagCount``: above this there shall be a replica.
        polling_interval_s, cooldown_s: between none and one.
    """

    metric: Literal["pending", "lag"] = "pending"
    entries: float = 5.0
    activation_lag: float = 0.0
    polling_interval_s: float = 30.0
    cooldown_s: float = 300.0
    min_replicas: int = 1
    up_percent: float = 100.0
    up_pods: int = 4
    down_stabilisation_s: float = 300.0


class Keda:
    """KEDA's operator and the HPA that it made."""

    interval_s = HPA_SYNC_S

    def __init__(self, settings: KedaSettings) -> None:
        self._settings = settings
        self._behaviour = Behaviour(
            up_percent=settings.up_percent,
            up_pods=settings.up_pods,
            down_stabilisation_s=settings.down_stabilisation_s,
        )
        self._brakes = Brakes(self._behaviour)
        self._active_s = 0.0
        self._next_poll_s = 0.0

    def look(self, seen: SimulatedLoad) -> SimulatedTarget:
        """One sync of the HPA, and a poll of KEDA where it is due."""
        settings, current = self._settings, seen.fleet.coming
        entries = seen.waiting if settings.metric == "lag" else seen.waiting + seen.in_flight
        if seen.now_s >= self._next_poll_s:
            self._next_poll_s += settings.polling_interval_s
            if entries > settings.activation_lag:
                self._active_s = seen.now_s
                if current == 0:
                    return SimulatedTarget(max(1, settings.min_replicas))
            elif settings.min_replicas == 0 and seen.now_s - self._active_s >= settings.cooldown_s:
                return SimulatedTarget(0)
        if current == 0:
            return SimulatedTarget(0)
        desired = max(
            1, settings.min_replicas, per_pod_replicas(entries, settings.entries, current, self._behaviour.tolerance)
        )
        return SimulatedTarget(self._brakes.apply(desired, current, seen.now_s))
