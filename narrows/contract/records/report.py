"""What each dispatcher says of itself once a second, for the autoscaler: one JSON record in a hash of Redis.

It speaks of what only the dispatcher knows: offered rates, backlog, saturation, work outstanding at each server.
What servers know (the cost of batches, instances) is asked of the servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from narrows.contract.wire.record import Count, PerSecond, Record, Seconds, UnixMs

MAX_REPORT_BYTES = 1 << 20
FRESH_MS = 5_000
MOST_TOP_STREAMS = 10
"""Streams that a report names by each rate."""
MOST_NAMED_STREAMS = 4_096
"""Names in each list of :class:`CameraMasks`: the longest ones still fit into a report."""
_Level = Annotated[str, Meta(pattern=r"^[0-9]{1,3}\Z")]


def is_fresh(at_ms: float, now_ms: float, within_ms: float = FRESH_MS) -> bool:
    """Whether something was said of late, both by Redis' clock.

    What was said later than now was said before that clock was set back, and is as good as silence: else who died then
    would be taken for alive until the clock is there again. Who lives says it again at once.
    """
    return abs(now_ms - at_ms) <= within_ms


class BundleReport(Struct, frozen=True):
    """What streams ask of one bundle.

    Attributes:
        frames_per_s: frames offered each second, by rate level (a number as text, for JSON); what throttled cameras
            hold back is counted in, so that throttling hides no load from the autoscaler.
        decode_s: mean seconds of this process to entropy-decode and pack a frame, by rate level.
    """

    frames_per_s: Mapping[_Level, PerSecond] = {}
    decode_s: Mapping[_Level, Seconds] = {}


class ServerReport(Struct, frozen=True):
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
    outstanding: Count = 0
    frames: Count = 0
    failures: Count = 0


class StreamRates(Struct, frozen=True):
    """Frames a second of one stream over the last seconds.

    Attributes:
        offered_per_s: that came, as far as the dispatcher saw them.
        skipped_per_s: that were skipped as stale, or trimmed unread.
        clock_ahead_per_s: whose capture time was ahead of the server's clock.
    """

    stream: str
    offered_per_s: PerSecond = 0.0
    skipped_per_s: PerSecond = 0.0
    clock_ahead_per_s: PerSecond = 0.0


_Names = Annotated[tuple[str, ...], Meta(max_length=MOST_NAMED_STREAMS)]


class CameraMasks(Struct, frozen=True, omit_defaults=True):
    """Streams whose cameras make masks, by name, of those that sent a frame in the last 10 s.

    Attributes:
        made: whose latest frame was the camera's own mask.
        audited: of these, the ones that sent a mask together with its features in the last ten minutes.
        asked: whose cameras are asked for masks.
    """

    made: _Names = ()
    audited: _Names = ()
    asked: _Names = ()


class DispatcherReport(Record, frozen=True, tag_field="v", tag=1):
    """One dispatcher at a moment.

    Attributes:
        at_ms: Redis' clock, Unix milliseconds.
        streams: streams that sent a frame in the last 10 s.
        backlog_frames, backlog_age_s: frames without an end in its shards, lag and pending alike, and their age: of the
            oldest, unless a stream waits alone among three or more.
        saturation: share of the time that its event loop was busy, 0 to 1.
        realtime_ended, realtime_late: realtime frames that ended since it started, and those of them that missed the
            SLO (later than 500 ms after their entry id, or skipped).
        bundles: by bundle id (16 hex digits).
        servers: by gRPC address.
        packet_format: the newest that it reads; builds that do not say read 1 alone.
        camera_masks: which streams send masks; the others send features. Builds that do not say know of no masks.
        top_streams: the streams that are first by one of their rates, ``MOST_TOP_STREAMS`` by each.
    """

    what: ClassVar[str] = "a dispatcher's report"
    most_bytes: ClassVar[int] = MAX_REPORT_BYTES

    name: str
    at_ms: UnixMs
    streams: Count = 0
    backlog_frames: Count = 0
    backlog_age_s: Seconds = 0.0
    saturation: Annotated[float, Meta(ge=0, le=1)] = 0.0
    realtime_ended: Count = 0
    realtime_late: Count = 0
    bundles: Mapping[str, BundleReport] = {}
    servers: Mapping[str, ServerReport] = {}
    top_streams: tuple[StreamRates, ...] = ()
    packet_format: Annotated[int, Meta(ge=1, le=255)] = 1
    camera_masks: CameraMasks = CameraMasks()
