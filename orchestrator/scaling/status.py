"""What the leader sees and did last: the record under ``narrows:{scale}:status``, for `narrows scale status`."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from narrows.contract.wire.record import Count, Record, Seconds, UnixMs
from orchestrator.scaling.signals import ScalarSignals

MAX_STATUS_BYTES = 4 << 20


class ServerLine(Struct, frozen=True):
    """One server; ``None`` where nobody says."""

    address: str
    instances: Count | None = None
    busy_instances: float | None = None
    outstanding: Count = 0
    pending: Count | None = None
    queue_s: Seconds | None = None
    compute_s: Seconds | None = None
    gpu_ratio: float | None = None
    gpu_memory_ratio: float | None = None


class Status(ScalarSignals, Record, frozen=True, kw_only=True, tag_field="v", tag=1):
    """One moment of the leader: the signals, and what was made of them. What is not known is ``None``.

    Attributes:
        at_ms: Redis' clock, Unix milliseconds.
        interval_s: until the next.
        leader, token: who leads, and its fencing token.
        engine: ``local``, ``compose`` and so on.
        wanted, instances_wanted: the targets.
        load, target_load: offered work over capacity, and what is aimed at.
        streams_left, streams_left_at_most: cameras that still fit, now and with all servers that there may be.
        load_a_stream: the slope of load against streams.
        reasons, detail: of the last decision.
        failure: what the engine did not do at the last try; empty when it did.
    """

    what: ClassVar[str] = "a scaling status"
    most_bytes: ClassVar[int] = MAX_STATUS_BYTES

    at_ms: UnixMs
    interval_s: Seconds
    leader: str
    token: Count
    engine: str
    dry_run: bool
    frozen: bool
    ordered: Count | None
    wanted: Count
    ready: Count
    starting: Count
    draining: Count
    slots: Count | None
    min_servers: Count
    max_servers: Count
    instances: Count
    instances_wanted: Count
    frames_per_s: float | None
    server_frames_per_s: float | None
    load: float | None
    target_load: float
    streams_left: int | None
    streams_left_at_most: int | None
    load_a_stream: float | None
    load_a_stream_error: float | None
    dispatchers: Count
    capacity_exhausted: bool
    reasons: tuple[str, ...]
    detail: str
    failure: str = ""
    servers: tuple[ServerLine, ...] = ()
