"""From one round to its status record."""

from __future__ import annotations

import math

from narrows.contract.wire.scale_order import ScaleOrder
from orchestrator.scaling.forecast import Forecast
from orchestrator.scaling.gain import capacity
from orchestrator.scaling.observe import Observation, ServerSight
from orchestrator.scaling.policy import PolicySettings
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.replicas import Observed
from orchestrator.scaling.signals import Decision, scalars
from orchestrator.scaling.status import ServerLine, Status


def status_of(
    *,
    at_ms: int,
    interval_s: float,
    leader: str,
    token: int,
    engine: str,
    dry_run: bool,
    order: ScaleOrder,
    seen: Observation,
    observed: Observed,
    decision: Decision,
    settings: PolicySettings,
    forecast: Forecast,
    failure: str,
) -> Status:
    """The record; see :class:`~orchestrator.scaling.status.Status`."""
    signals, fleet, line = seen.signals, seen.signals.fleet, forecast.line
    return Status(
        **scalars(signals),
        at_ms=at_ms,
        interval_s=interval_s,
        leader=leader,
        token=token,
        engine=engine,
        dry_run=dry_run,
        frozen=order.frozen,
        ordered=order.servers,
        wanted=decision.servers,
        ready=observed.ready,
        starting=observed.starting,
        draining=observed.draining,
        slots=observed.slots,
        min_servers=settings.min_servers,
        max_servers=settings.max_servers,
        instances=fleet.instances,
        instances_wanted=decision.instances,
        frames_per_s=_known(signals.frames_per_s),
        server_frames_per_s=_known(capacity(dict(signals.server_frames_per_s), fleet.instances)),
        load=_known(forecast.load),
        target_load=settings.target_load,
        streams_left=forecast.streams_left,
        streams_left_at_most=forecast.streams_left_at_most,
        load_a_stream=None if line is None else line.slope,
        load_a_stream_error=None if line is None else _known(line.slope_error),
        dispatchers=seen.reports,
        capacity_exhausted=Reason.CAPACITY_EXHAUSTED in decision.reasons,
        reasons=decision.reasons,
        detail=decision.detail,
        failure=failure,
        servers=tuple(_line(address, sight) for address, sight in sorted(seen.servers.items())),
    )


def _line(address: str, sight: ServerSight) -> ServerLine:
    look, gauges = sight.look, sight.gauges
    memory = (
        gauges.gpu_used_bytes / gauges.gpu_total_bytes if gauges.gpu_used_bytes and gauges.gpu_total_bytes else None
    )
    return ServerLine(
        address=address,
        instances=None if look is None else look.instances,
        busy_instances=None if look is None else look.busy_instances,
        outstanding=sight.outstanding,
        pending=gauges.pending,
        queue_s=None if look is None else look.queue_s,
        compute_s=None if look is None else look.compute_s,
        gpu_ratio=gauges.gpu_ratio,
        gpu_memory_ratio=memory,
    )


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
