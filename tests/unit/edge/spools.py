"""Spools as their tests open and drain them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_client.spool import Keep, Spool
from tests.unit.edge.frames import frame, none_lost

ROOMY = 1 << 20


def still() -> float:
    """A clock that stands: no sync but the first of each segment."""
    return 0.0


def open_spool(
    folder: Path, limit_bytes: int = ROOMY, keep: Keep = Keep.NEWEST, lost: Callable[[int], None] | None = None
) -> Spool:
    return Spool(folder, limit_bytes, keep, still, lost or none_lost)


def drain(spool: Spool) -> list[int]:
    """The sequences that come out, each checked against what was put in."""
    sequences = []
    while (read := spool.read()) is not None:
        sequence = read.outgoing.record.sequence
        assert read.outgoing.packet == frame(sequence, size_bytes=len(read.outgoing.packet)).packet
        if not read.orphan:
            sequences.append(sequence)
    return sequences


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))
