"""What the cameras do over time: a CSV of ``time_s, streams, fps``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from narrows.contract.errors import NarrowsError

COLUMNS = ("time_s", "streams", "fps")


class TraceError(NarrowsError):
    """A trace that cannot be read; the message names the file, the line and the column."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Each row holds until the next one; the last holds as long as the one before it.

    Attributes:
        time_s: ascending.
        streams: cameras that send.
        fps: frames that each sends every second.
    """

    name: str
    time_s: tuple[float, ...]
    streams: tuple[int, ...]
    fps: tuple[float, ...]

    @property
    def end_s(self) -> float:
        """When the last row ends."""
        return self.time_s[-1] + (self.time_s[-1] - self.time_s[-2])

    def by_step(self, step_s: float) -> list[tuple[int, float]]:
        """(streams, frames/s of all of them) at the begin of every step."""
        steps, row = [], 0
        for number in range(round((self.end_s - self.time_s[0]) / step_s)):
            now_s = self.time_s[0] + number * step_s
            while row + 1 < len(self.time_s) and self.time_s[row + 1] <= now_s:
                row += 1
            steps.append((self.streams[row], self.streams[row] * self.fps[row]))
        return steps


def read_trace(path: Path) -> Trace:
    """Read a trace.

    Raises:
        TraceError: no such file, a missing column, a value that is no number or cannot be, time that does not rise, or
            fewer than two rows.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = _rows(path, csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path} cannot be read as a trace: {error}") from None
    if len(rows) < 2:
        raise TraceError(f"{path} has {len(rows)} rows; a trace needs at least two below its line of column names")
    for (_, before), (line, after) in pairwise(rows):
        if after[0] <= before[0]:
            raise TraceError(f"{path}, line {line}, column time_s: {after[0]:g} is not after {before[0]:g}")
    values = [row for _, row in rows]
    return Trace(
        path.stem, tuple(t for t, _, _ in values), tuple(round(s) for _, s, _ in values), tuple(f for *_, f in values)
    )


def write_trace(trace: Trace, path: Path) -> None:
    """Write what :func:`read_trace` reads."""
    lines = [",".join(COLUMNS)]
    lines += [f"{t:g},{s},{f:g}" for t, s, f in zip(trace.time_s, trace.streams, trace.fps, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows(path: Path, lines: Iterable[list[str]]) -> list[tuple[int, tuple[float, float, float]]]:
    numbered = enumerate(lines, 1)
    _, head = next(numbered, (1, []))
    names = [name.strip() for name in head]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise TraceError(f"{path}, line 1: no column {', '.join(missing)}; a trace has {', '.join(COLUMNS)}")
    where = [names.index(name) for name in COLUMNS]
    return [(line, _row(path, line, where, row)) for line, row in numbered if row]


def _row(path: Path, line: int, where: list[int], row: list[str]) -> tuple[float, float, float]:
    time_s, streams, fps = (_number(path, line, name, row, at) for name, at in zip(COLUMNS, where, strict=True))
    if not streams.is_integer():
        raise TraceError(f"{path}, line {line}, column streams: {streams:g} is no whole number of streams")
    return time_s, streams, fps


def _number(path: Path, line: int, column: str, row: list[str], at: int) -> float:
    if at >= len(row):
        raise TraceError(f"{path}, line {line}: {len(row)} values, none for column {column}")
    try:
        value = float(row[at])
    except ValueError:
        raise TraceError(f"{path}, line {line}, column {column}: {row[at]!r} is no number") from None
    if not math.isfinite(value) or value < 0:
        raise TraceError(f"{path}, line {line}, column {column}: {row[at].strip()} cannot be; 0 or more is wanted")
    return value
