"""What a frame and a connection cost, from what other benchmarks measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.record import read_result


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured costs.

    Attributes:
        packet_bytes, waiting_bytes: of a frame at a rate level, on its way and in Redis.
        mask_bytes: of a kept mask, packed as small as it gets.
        redis_frame_ms, dispatcher_frame_ms: processor time of a frame at 70 % load.
        decoder_frame_ms: on a core, in int8.
        dispatcher_series, autoscaler_series: of a scrape, with 1,000 streams.
        connect_ms: processor time of the server for a connection by TLS, with AUTH.
    """

    packet_bytes: float
    waiting_bytes: float
    mask_bytes: float
    redis_frame_ms: float
    dispatcher_frame_ms: float
    decoder_frame_ms: float
    dispatcher_series: int
    autoscaler_series: int
    connect_ms: float

    @classmethod
    def measured(cls, level: int, connect_ms: float, read: Callable[[str], dict[str, Any]] = read_result) -> Costs:
        """Read ``benchmarks/results``: pipeline, decoder, sizing and scrape."""
        at_load = [each["path_at_load"]["cpu_ms"] for each in read("pipeline")["each_round"]]
        sizing, scrape = read("sizing"), next(row for row in read("scrape")["rows"] if row["streams"] == 1000)
        waiting = next(row for row in sizing["waiting"] if row["level"] == level)
        return cls(
            packet_bytes=waiting["packet_bytes"],
            waiting_bytes=waiting["redis_bytes"],
            mask_bytes=sizing["kept"]["small_redis_bytes"],
            redis_frame_ms=median(each["redis"] for each in at_load),
            dispatcher_frame_ms=median(each["loop"] + each["threads"] for each in at_load),
            decoder_frame_ms=read("decoder")["cpu_ms"]["joint_int8"],
            dispatcher_series=scrape["dispatcher"]["series"],
            autoscaler_series=scrape["autoscaler"]["series"],
            connect_ms=connect_ms,
        )
