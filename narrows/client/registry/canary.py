"""Which streams go first with a new bundle: a share of them, always the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def canaries(streams: Iterable[str], share: float) -> list[str]:
    """About ``share`` (0 to 1) of the streams, by name, and at least one if there is any and the share is not 0.

    Who is chosen depends on the names alone: a larger share has all of a smaller one, and a stream that comes or goes
    moves no other. So every part of the fleet's tools may ask for itself.
    """
    ranked = sorted((_place(stream), stream) for stream in streams)
    chosen = [stream for place, stream in ranked if place < share]
    return sorted(chosen or [stream for _, stream in ranked[: int(share > 0)]])


def _place(stream: str) -> float:
    """A number from 0 to 1 for each name, evenly spread."""
    return int.from_bytes(hashlib.sha256(f"canary:{stream}".encode()).digest()[:6]) / 2**48
