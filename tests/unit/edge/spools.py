"""Spools as their tests open and drain them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


@contextmanager
def files_closed() -> Iterator[None]:
    """Close what is left open at the end, as the kernel does when a program is killed or the power is cut."""
    opened: set[int] = set()
    open_file, close_file = os.open, os.close

    def opening(*arguments: object, **named: object) -> int:
        file: int = open_file(*arguments, **named)  # type: ignore[arg-type]
        opened.add(file)
        return file

    def closing(file: int) -> None:
        opened.discard(file)
        close_file(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opening)
        patch.setattr(os, "close", closing)
        yield
    for file in opened:
        close_file(file)
