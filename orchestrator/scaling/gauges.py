"""From what was seen to the metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prometheus_client import Gauge

from orchestrator.scaling.capacity import CapacityModel
from orchestrator.scaling.forecast import Forecast
from orchestrator.scaling.metrics import BATCHES, ScaleMetrics
from orchestrator.scaling.observe import Observation, ServerSight
from orchestrator.scaling.signals import scalars
from orchestrator.telemetry.load_line import LoadLine


def show(metrics: ScaleMetrics, seen: Observation, capacity: CapacityModel, forecast: Forecast) -> None:
    """Set the gauges; what is not known is NaN, and what is gone is not there."""
    signals, fleet = seen.signals, seen.signals.fleet
    for state, number in (("ready", fleet.ready), ("starting", fleet.starting), ("draining", fleet.draining)):
        metrics.servers.labels(state).set(number)
    metrics.instances.set(fleet.instances)
    metrics.slots.set(_or_nan(fleet.slots))
    for name, value in scalars(signals).items():
        metrics.signals[name].set(value)
    metrics.reports.set(seen.reports)
    metrics.load.set(forecast.load)
    metrics.capacity.set(forecast.capacity_frames_per_s)
    metrics.capacity_streams.set(_or_nan(forecast.streams_left))
    metrics.capacity_streams_most.set(_or_nan(forecast.streams_left_at_most))
    _labelled(metrics.offered, {(bundle,): rate for bundle, rate in seen.offered.items()})
    _labelled(metrics.server_rate, {(str(n),): rate for n, rate in signals.server_frames_per_s.items()})
    _labelled(metrics.decode_cost, seen.decode_s)
    costs = {bundle: capacity.cost(bundle, fleet.instances) for bundle in capacity.bundles()}
    _labelled(
        metrics.batch_cost,
        {(bundle, str(b)): cost.of(b) for bundle, cost in costs.items() if cost is not None for b in BATCHES},
    )
    _show_line(metrics, forecast.line)
    _show_servers(metrics, seen.servers)


def _show_line(metrics: ScaleMetrics, line: LoadLine | None) -> None:
    metrics.line_slope.set(line.slope if line else math.nan)
    metrics.line_intercept.set(line.intercept if line else math.nan)
    metrics.line_slope_error.set(line.slope_error if line else math.nan)
    metrics.line_r_squared.set(line.r_squared if line else math.nan)
    metrics.line_points.set(line.points if line else 0)


def _show_servers(metrics: ScaleMetrics, servers: Mapping[str, ServerSight]) -> None:
    looks = {(address,): sight.look for address, sight in servers.items() if sight.look is not None}
    gauges = {(address,): sight.gauges for address, sight in servers.items()}
    _labelled(metrics.server_outstanding, {(address,): sight.outstanding for address, sight in servers.items()})
    _labelled(metrics.server_queue, {server: look.queue_s for server, look in looks.items()})
    _labelled(metrics.server_compute, {server: look.compute_s for server, look in looks.items()})
    _labelled(metrics.server_busy, {server: look.busy_instances for server, look in looks.items()})
    _labelled(
        metrics.server_pending, {server: each.pending for server, each in gauges.items() if each.pending is not None}
    )
    _labelled(
        metrics.server_gpu, {server: each.gpu_ratio for server, each in gauges.items() if each.gpu_ratio is not None}
    )
    _labelled(
        metrics.server_gpu_memory,
        {
            server: each.gpu_used_bytes / each.gpu_total_bytes
            for server, each in gauges.items()
            if each.gpu_used_bytes is not None and each.gpu_total_bytes
        },
    )


def _labelled(gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
    gauge.clear()
    for labels, value in values.items():
        gauge.labels(*labels).set(value)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
