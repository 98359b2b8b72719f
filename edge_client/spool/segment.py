"""The files of a spool: each is written once, from its beginning to its end, and deleted whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_client.spool.record import MAGIC, Stored, claimed_length, parse_record

SYNC_S = 1.0
SYNC_BYTES = 256 * 1024
_ENDING = ".spool"
_HEAD_BYTES = 12
_SEARCH_BYTES = 64 * 1024


@dataclass(slots=True)
class Segment:
    """A file and what is known of it: its ``size`` so far, its ``last`` number, and how many frames are ``unread``."""

    path: Path
    size: int
    last: int
    unread: int


def find_segments(folder: Path) -> list[Path]:
    """The segments of a folder, the oldest first: they are named by their first number."""
    return sorted(path for path in folder.glob(f"*{_ENDING}") if path.stem.isdigit())


class SegmentWriter:
    """Appends records to a new file, and syncs it at most once a second or once a quarter of a megabyte."""

    def __init__(self, folder: Path, first: int, monotonic_s: Callable[[], float]) -> None:
        """Make the file, and make its name durable.

        Raises:
            OSError: the disk refuses it.
        """
        self._monotonic_s = monotonic_s
        self._synced_s = -SYNC_S
        self._unsynced = 0
        path = folder / f"{first:020d}{_ENDING}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.segment = Segment(path, 0, first - 1, 0)
        try:
            sync_folder(folder)
        except OSError:
            self.abandon()
            raise

    def append(self, number: int, record: bytes) -> None:
        """Write one record.

        Raises:
            OSError: the disk refuses it. The record counts as not written; :meth:`abandon` is all that may follow.
        """
        view = memoryview(record)
        while view:
            view = view[os.write(self._file, view) :]
        self._unsynced += len(record)
        if self._unsynced >= SYNC_BYTES or self._monotonic_s() - self._synced_s >= SYNC_S:
            self.sync()
        self.segment.size += len(record)
        self.segment.last = number
        self.segment.unread += 1

    def sync(self) -> None:
        """Make what was written outlive a power cut."""
        if self._unsynced:
            os.fdatasync(self._file)
            self._unsynced = 0
            self._synced_s = self._monotonic_s()

    def close(self) -> None:
        """Sync and close.

        Raises:
            OSError: the disk refuses the sync; the file is closed.
        """
        try:
            self.sync()
        finally:
            os.close(self._file)

    def abandon(self) -> None:
        """Close without a sync, cut back to the last whole record; a file without one is deleted."""
        with suppress(OSError):
            os.ftruncate(self._file, self.segment.size)
        with suppress(OSError):
            if not self.segment.size:
                self.segment.path.unlink(missing_ok=True)
        os.close(self._file)


class SegmentReader:
    """Reads a file's records in order and steps over what does not check."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OSError: it cannot be opened.
        """
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._offset = 0

    def next(self, size: int) -> Stored | None:
        """The next record that lies whole within the first ``size`` bytes.

        Raises:
            OSError: the disk refuses it.
        """
        while self._offset < size:
            length = claimed_length(os.pread(self._file, _HEAD_BYTES, self._offset))
            if length is not None and self._offset + length <= size:
                stored = parse_record(os.pread(self._file, length, self._offset))
                if stored is not None:
                    self._offset += length
                    return stored
            self._offset = self._find_magic(self._offset + 1, size)
        return None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _find_magic(self, start: int, size: int) -> int:
        for offset in range(start, size, _SEARCH_BYTES):
            found = os.pread(self._file, _SEARCH_BYTES + len(MAGIC) - 1, offset).find(MAGIC)
            if found >= 0:
                return min(size, offset + found)
        return size


def read_all(path: Path) -> Iterator[Stored]:
    """Every record of a file.

    Raises:
        OSError: the disk refuses it.
    """
    reader = SegmentReader(path)
    try:
        size = path.stat().st_size
        while (stored := reader.next(size)) is not None:
            yield stored
    finally:
        reader.close()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut.

    Raises:
        OSError: the disk refuses it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
