"""Coded frames for tests that do not look into them."""

from __future__ import annotations

import pytest

from edge_client.transport.outbox import FrameRecord, Outgoing


def frame(sequence: int, *, predicted: bool = False, epoch: int = 1, size_bytes: int = 6) -> Outgoing:
    """A frame whose packet tells its identity."""
    packet = f"{epoch}:{sequence}".encode().ljust(size_bytes, b".")
    record = FrameRecord(sequence, epoch, f"frame-{sequence}", 1000 + sequence, len(packet), 2, 1.5, 0.25)
    return Outgoing(record, packet, depends=predicted)


def none_lost(count: int) -> None:
    """What a spool is given that should lose nothing."""
    pytest.fail(f"{count} frames cannot be read back")
