"""Reading a camera's journal while it is being written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from narrows.contract.records.frame_journal import JournalLine, is_of_a_frame


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
    """One line; ``None`` for one of no frame.

    Raises:
        RecordError: it is not of the journal's form.
    """
    return JournalLine.parse(line) if is_of_a_frame(line) else None
