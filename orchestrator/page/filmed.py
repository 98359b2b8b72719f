"""What the cameras of a demo filmed: there alone pictures and masks meet, because one machine holds both.

``--frames-from DIR`` names a folder as ``narrows demo`` keeps it::

    DIR/STREAM/journal.jsonl        as `narrows edge --journal` writes it: which frame was which picture
    DIR/STREAM/reel/NAME.jpg        the pictures that the camera plays
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from narrows.contract.errors import RecordError
from narrows.contract.records.frame_journal import FilmedFrame
from narrows.contract.wire import FrameIdentity
from narrows.contract.wire.keys import check_stream_id

_KEPT = 1024
_MOST_BYTES = 1 << 20
_KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


@dataclass
class _Journal:
    offset: int = 0
    half: bytes = b""
    names: OrderedDict[FrameIdentity, str] = field(default_factory=OrderedDict)

    def read_new(self, path: Path) -> None:
        """Take up what was appended; of a long one that was never read, its end."""
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size - self.offset > _MOST_BYTES:
                self.offset, self.half = size - _MOST_BYTES, b"{"  # the first line is cut: make it unreadable
            file.seek(self.offset)
            data = file.read()
        self.offset += len(data)
        *lines, self.half = (self.half + data).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            filmed = FilmedFrame.parse(line)
        except RecordError:
            return  # the last line sums up; a journal cut short is none of the page's business
        self.names[filmed.identity] = filmed.name
        while len(self.names) > _KEPT:
            self.names.popitem(last=False)


class Filmed:
    """Finds the picture that a mask shows. Blocks: for a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journals: dict[str, _Journal] = {}

    def picture(self, stream: str, identity: FrameIdentity) -> tuple[bytes, str] | None:
        """The encoded picture and its media type; ``None`` where there is none for that frame.

        Raises:
            StreamIdInvalid: the stream's id cannot be used.
        """
        folder = self._folder / check_stream_id(stream)
        journal = self._journals.setdefault(stream, _Journal())
        try:
            if identity not in journal.names:
                journal.read_new(folder / "journal.jsonl")
            name = journal.names.get(identity)
            if name is None or Path(name).name != name:
                return None
            for suffix, kind in _KINDS.items():
                path = folder / "reel" / f"{name}{suffix}"
                if path.is_file():
                    return path.read_bytes(), kind
        except OSError:
            return None
        return None
