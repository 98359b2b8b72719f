"""Reading a camera's journal while it is being written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import RecordError
from narrows.contract.wire import FrameIdentity


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One frame: which, which picture it was, when it was taken, how large, and why it was given up, if it was."""

    identity: FrameIdentity
    name: str
    capture_ms: int
    size_bytes: int
    reason: str | None


@dataclass
class JournalReader:
    """Answers with the lines that were added since it was asked last; half a line waits for its end."""

    path: Path
    _offset: int = 0
    _half: bytes = b""

    def read_new(self) -> list[JournalLine]:
        """New lines, oldest first; none while the file is not there.

        Raises:
            RecordError: a line is not of the journal's form.
        """
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *lines, self._half = (self._half + data).split(b"\n")
        return [parsed for line in lines if (parsed := parse_line(line)) is not None]


def parse_line(line: bytes) -> JournalLine | None:
    """One line; ``None`` for the last one, which sums up.

    Raises:
        RecordError: it is not of the journal's form.
    """
    try:
        raw = json.loads(line)
        if raw.get("end"):
            return None
        return JournalLine(
            identity=FrameIdentity(int(raw["epoch"]), int(raw["sequence"])),
            name=str(raw["name"]),
            capture_ms=int(raw["capture_ms"]),
            size_bytes=int(raw["bytes"]),
            reason=None if raw["sent"] else str(raw["reason"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"a journal line cannot be read: {type(error).__name__}: {error}") from None
