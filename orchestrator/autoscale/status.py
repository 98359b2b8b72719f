"""What the leader sees and did last: the record under ``narrows:{scale}:status``, for `narrows scale status`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

from narrows.errors import RecordError

MAX_STATUS_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class ServerLine:
    """One server; ``None`` where nobody says."""

    address: str
    instances: int | None = None
    busy_instances: float | None = None
    outstanding: int = 0
    pending: int | None = None
    queue_s: float | None = None
    compute_s: float | None = None
    gpu_ratio: float | None = None
    gpu_memory_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One moment of the leader. What is not known is ``None``.

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

    at_ms: int
    interval_s: float
    leader: str
    token: int
    engine: str
    dry_run: bool
    frozen: bool
    ordered: int | None
    wanted: int
    ready: int
    starting: int
    draining: int
    slots: int | None
    min_servers: int
    max_servers: int
    instances: int
    instances_wanted: int
    streams: int
    frames_per_s: float | None
    server_frames_per_s: float | None
    load: float | None
    target_load: float
    streams_left: int | None
    streams_left_at_most: int | None
    load_a_stream: float | None
    load_a_stream_error: float | None
    backlog_frames: int
    backlog_age_s: float
    late_ratio: float
    dispatchers: int
    dispatcher_saturation: float
    capacity_exhausted: bool
    reasons: tuple[str, ...]
    detail: str
    failure: str = ""
    servers: tuple[ServerLine, ...] = field(default=())

    def to_json(self) -> bytes:
        """Serialise; numbers that are none become ``null``."""
        return json.dumps(_plain(asdict(self)) | {"v": 1}, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def parse(cls, data: bytes) -> Status:
        """Read a record; unknown fields are ignored, so that the autoscaler may be newer.

        Raises:
            RecordError: too long, no JSON object, another version, or a field missing or of another type.
        """
        if len(data) > MAX_STATUS_BYTES:
            raise RecordError(f"a scaling status of {len(data)} bytes; at most {MAX_STATUS_BYTES} are read")
        try:
            raw: dict[str, Any] = json.loads(data)
            if raw["v"] != 1:
                raise RecordError(f"a scaling status of version {raw['v']!r}; this build reads 1")
            fields = {name: _READERS[kind](raw[name]) for name, kind in _fields(cls).items() if name in raw}
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise RecordError(f"a scaling status cannot be read: {error!r}") from None


def _fields(record: type[Status | ServerLine]) -> dict[str, str]:
    return {name: str(each.type) for name, each in record.__dataclass_fields__.items()}


def _line(raw: dict[str, Any]) -> ServerLine:
    return ServerLine(**{name: _READERS[kind](raw[name]) for name, kind in _fields(ServerLine).items() if name in raw})


_READERS: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "int | None": lambda value: None if value is None else int(value),
    "float | None": lambda value: None if value is None else float(value),
    "tuple[str, ...]": lambda values: tuple(str(value) for value in values),
    "tuple[ServerLine, ...]": lambda values: tuple(map(_line, values)),
}


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
