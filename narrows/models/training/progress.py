"""What a run says of each epoch: a line of JSON in its folder, and how long the rest will take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from narrows.models.training.config import TrainingConfig, TrainingPhase

PROGRESS = "progress.jsonl"
Record = dict[str, Any]
"""``epoch``, ``seconds``, ``loss``, ``task``, ``bpp0`` ... and, of epochs that were checked, ``miou0``,
``checked_bpp0``, ``bad_miou2`` ..."""
_RECENT_EPOCHS = 5


def append_record(folder: Path, record: Record) -> None:
    """Add a line, behind whatever a killed process left of its own."""
    path = folder / PROGRESS
    torn = path.is_file() and not path.read_bytes().endswith(b"\n")
    with path.open("a") as log:
        log.write(("\n" if torn else "") + json.dumps(record) + "\n")


def read_records(folder: Path) -> list[Record]:
    """The lines that are whole, by epoch; where an epoch was run twice the later one counts."""
    path = folder / PROGRESS
    if not path.is_file():
        return []
    by_epoch: dict[int, Record] = {}
    for line in path.read_text(errors="replace").splitlines():
        try:
            record = json.loads(line)
            by_epoch[int(record["epoch"])] = record
        except (ValueError, TypeError, KeyError):
            continue
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def phase_of(config: TrainingConfig, epoch: int) -> TrainingPhase:
    """The phase that an epoch, counted from 0, belongs to."""
    for phase in config.phases:
        if epoch < phase.epochs:
            return phase
        epoch -= phase.epochs
    return config.phases[-1]


def seconds_left(config: TrainingConfig, records: Sequence[Record]) -> float:
    """What the epochs that are left will take at the pace of the last few: an epoch costs what its pixels cost.

    Raises:
        ValueError: no epoch has ended yet.
    """
    if not records:
        raise ValueError("no epoch has ended yet")
    recent = records[-_RECENT_EPOCHS:]
    pixels = sum(_pixels(phase_of(config, record["epoch"] - 1)) for record in recent)
    left = sum(_pixels(phase_of(config, epoch)) for epoch in range(records[-1]["epoch"], config.epochs))
    spent_s: float = sum(record["seconds"] for record in recent)
    return left * spent_s / pixels


def _pixels(phase: TrainingPhase) -> int:
    return phase.size[0] * phase.size[1]
