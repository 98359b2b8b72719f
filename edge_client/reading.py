"""What a camera's program can tell of itself at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from edge_client.stats import EdgeStats
from edge_client.transport.server_clock import Estimate


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is shown, at one moment.

    Attributes:
        trouble: why Redis does not take packets; ``None`` while it does.
        clock: this machine's clock less the server's; ``None``: not known.
        spool_frames, spool_bytes: what lies on disk.
        goodput_bytes_per_s, round_trip_s: the link, as it was seen last.
    """

    stats: EdgeStats
    trouble: str | None = None
    clock: Estimate | None = None
    spool_frames: int = 0
    spool_bytes: int = 0
    goodput_bytes_per_s: float = 0.0
    round_trip_s: float = 0.0
