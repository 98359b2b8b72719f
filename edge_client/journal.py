"""What became of every frame, one JSON line each, for whoever pairs masks with what was filmed; and of its design."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock
from typing import Self, TextIO

import structlog

from edge_client.planning.design_change import DesignChange
from edge_client.stats import EdgeStats, Tally
from edge_client.transport.outbox import FrameRecord
from narrows.contract.errors import StateError

_LOG = structlog.get_logger("edge.journal")


class EdgeJournal:
    """Appends to a file; without a path it writes nothing. A disk that fills up ends the journal, not the frames."""

    def __init__(self, path: Path | None, tally: Tally) -> None:
        """Open the file; on leaving, the last line is written from the tally.

        Raises:
            StateError: it cannot be written.
        """
        self._tally = tally
        self._file: TextIO | None = None
        self._writing = Lock()
        if path is not None:
            try:
                self._file = path.open("a", encoding="utf-8", buffering=1)
            except OSError as error:
                raise StateError(f"--journal {path} cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._append(_end_line(self._tally.snapshot()))
        if self._file is not None:
            self._file.close()

    def frame(self, record: FrameRecord, reason: str | None) -> None:
        """A frame was sent (``reason`` is ``None``) or given up."""
        latency = record.latency
        self._append(
            {
                "sequence": record.sequence,
                "epoch": record.epoch,
                "name": record.name,
                "capture_ms": record.capture_ms,
                "bytes": record.size_bytes,
                "level": record.level,
                "kind": record.kind.value,
                "encode_ms": {"network": round(record.network_ms, 3), "coder": round(record.coder_ms, 3)},
                "latency_ms": latency and round(latency.value_s * 1e3, 1),
                "latency_error_ms": latency and round(latency.error_s * 1e3, 1),
                "sent": reason is None,
                "reason": reason,
            }
        )

    def design(self, change: DesignChange) -> None:
        """Frames of a split network are coded otherwise from now on."""
        self._append(change.line())

    def _append(self, line: dict[str, object]) -> None:
        with self._writing:
            if self._file is None:
                return
            try:
                self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
            except OSError as error:
                _LOG.error("journal_ended", file=self._file.name, cause=error.strerror)
                self._file = None


def _end_line(stats: EdgeStats) -> dict[str, object]:
    return {
        "end": True,
        "frames_taken": stats.frames_taken,
        "frames_resumed": stats.frames_resumed,
        "frames_sent": stats.frames_sent,
        "frames_dropped": dict(stats.frames_dropped),
        "frames_kept": stats.frames_waiting,
        "passed_over": stats.passed_over,
        "behind_s": round(stats.behind_s, 3),
        "bytes_sent": stats.bytes_sent,
        "link_failures": dict(stats.link_failures),
        "control_malformed": stats.control_malformed,
        "camera_events": dict(stats.camera_events),
    }
