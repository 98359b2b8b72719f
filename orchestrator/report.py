"""What each dispatcher says of itself once a second, for the autoscaler: one JSON record in a hash of Redis.

It speaks of what only the dispatcher knows: offered rates, backlog, saturation, work outstanding at each server.
What servers know (the cost of batches, instances) is asked of the servers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from narrows.errors import RecordError

MAX_REPORT_BYTES = 1 << 20
FRESH_MS = 5_000


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What streams ask of one bundle.

    Attributes:
        frames_per_s: frames offered each second, by rate level (a number as text, for JSON); what throttled cameras
            hold back is counted in, so that throttling hides no load from the autoscaler.
        decode_s: mean seconds of this process to entropy-decode and pack a frame, by rate level.
    """

    frames_per_s: Mapping[str, float] = field(default_factory=dict)
    decode_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerReport:
    """One Triton server as a dispatcher sees it.

    Attributes:
        ready: it takes work.
        ejected: it failed lately and is left alone for a while.
        draining: it is given nothing new.
        outstanding: frames that it has of this dispatcher.
        frames: frames that it answered since this dispatcher started.
        failures: batches that it failed since then.
    """

    ready: bool
    ejected: bool = False
    draining: bool = False
    outstanding: int = 0
    frames: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class DispatcherReport:
    """One dispatcher at a moment.

    Attributes:
        at_ms: Redis' clock, Unix milliseconds.
        streams: streams that sent a frame in the last 10 s.
        backlog_frames, backlog_age_s: frames without an end in its shards, lag and pending alike, and the oldest's age.
        saturation: share of the time that its event loop was busy, 0 to 1.
        realtime_ended, realtime_late: realtime frames that ended since it started, and those of them that missed the
            SLO (later than 500 ms after their entry id, or skipped).
        bundles: by bundle id (16 hex digits).
        servers: by gRPC address.
    """

    name: str
    at_ms: int
    streams: int = 0
    backlog_frames: int = 0
    backlog_age_s: float = 0.0
    saturation: float = 0.0
    realtime_ended: int = 0
    realtime_late: int = 0
    bundles: Mapping[str, BundleReport] = field(default_factory=dict)
    servers: Mapping[str, ServerReport] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Serialise."""
        return json.dumps(asdict(self) | {"v": 1}, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> DispatcherReport:
        """Read a report; unknown fields are ignored, so that a dispatcher may be newer.

        Raises:
            RecordError: too long, no JSON object, another version, or a field of another type.
        """
        if len(data) > MAX_REPORT_BYTES:
            raise RecordError(f"a dispatcher's report of {len(data)} bytes; at most {MAX_REPORT_BYTES} are read")
        try:
            raw: dict[str, Any] = json.loads(data)
            if raw["v"] != 1:
                raise RecordError(f"a dispatcher's report of version {raw['v']!r}; this build reads 1")
            return cls(
                name=str(raw["name"]),
                at_ms=int(raw["at_ms"]),
                streams=int(raw["streams"]),
                backlog_frames=int(raw["backlog_frames"]),
                backlog_age_s=float(raw["backlog_age_s"]),
                saturation=float(raw["saturation"]),
                realtime_ended=int(raw["realtime_ended"]),
                realtime_late=int(raw["realtime_late"]),
                bundles={name: _bundle(each) for name, each in raw["bundles"].items()},
                servers={address: _server(each) for address, each in raw["servers"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(f"a dispatcher's report cannot be read: {error!r}") from None


def _bundle(raw: dict[str, Any]) -> BundleReport:
    return BundleReport(_numbers(raw["frames_per_s"]), _numbers(raw["decode_s"]))


def _numbers(raw: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in raw.items()}


def _server(raw: dict[str, Any]) -> ServerReport:
    return ServerReport(
        ready=bool(raw["ready"]),
        ejected=bool(raw["ejected"]),
        draining=bool(raw["draining"]),
        outstanding=int(raw["outstanding"]),
        frames=int(raw["frames"]),
        failures=int(raw["failures"]),
    )
