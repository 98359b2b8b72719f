"""How far the spool was acknowledged, written seldom: what it forgets is sent again, and answered once.

Two slots of 16 bytes, written in turn: a write that a power cut tears leaves the other. No sync: a mark that is behind
costs repeated packets, and it cannot be ahead, for it is written after the acknowledgement.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

_SLOT = struct.Struct("<QI4x")


class SpoolCursor:
    """The highest number that was acknowledged, or -1."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it if need be.

        Raises:
            OSError: it cannot be opened or read.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._slots = [_parse(os.pread(self._file, _SLOT.size, index * _SLOT.size)) for index in range(2)]
        self.value = max(self._slots)

    def write(self, value: int) -> None:
        """Replace the older slot.

        Raises:
            OSError: the disk refuses it.
        """
        older = self._slots.index(min(self._slots))
        os.pwrite(self._file, format_slot(value), older * _SLOT.size)
        self._slots[older] = self.value = value

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def format_slot(value: int) -> bytes:
    """The value and its CRC-32."""
    return _SLOT.pack(value, zlib.crc32(value.to_bytes(8, "little")))


def _parse(data: bytes) -> int:
    if len(data) != _SLOT.size:
        return -1
    value, _ = _SLOT.unpack(data)
    return int(value) if format_slot(value) == data else -1
