"""A bounded queue of coded frames on disk.

::

    append ──► segment ── segment ── segment ──► read ──► confirm: segments that are done are deleted
                  │
                  └── over the bound: the oldest segment goes (newest), or the frame that comes (oldest)

Segments are appended to and deleted, never rewritten, and a program appends only to those it made itself: what a power
cut tears is the end of a file. Not thread-safe: the outbox holds its lock around every call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import structlog

from edge_client.spool.cursor import SpoolCursor
from edge_client.spool.keep import Keep
from edge_client.spool.record import format_record
from edge_client.spool.segment import Segment, SegmentReader, SegmentWriter, find_segments, read_all
from edge_client.transport.outbox import Outgoing
from narrows.contract.errors import StateError

_LOG = structlog.get_logger("edge.spool")
_MAX_SEGMENT_BYTES = 1 << 20
_SEGMENTS = 8
_CURSOR_FRAMES, _CURSOR_S = 256, 5.0


class Read(NamedTuple):
    """A frame from the spool. ``orphan``: a P whose reference did not come out of it before."""

    outgoing: Outgoing
    orphan: bool


class Spool:
    """Frames of this run and of runs before it, in the order in which they were taken.

    Example::

        spool = Spool(Path("spool"), 64 << 20, Keep.NEWEST, time.monotonic, lost=print)
    """

    def __init__(
        self,
        folder: Path,
        limit_bytes: int,
        keep: Keep,
        monotonic_s: Callable[[], float],
        lost: Callable[[int], None],
    ) -> None:
        """Open the folder and count what a run before left there. ``lost`` is told of frames that cannot be read back.

        Raises:
            StateError: the folder cannot be read or written.
        """
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = min(_MAX_SEGMENT_BYTES, limit_bytes // _SEGMENTS)
        self._keep = keep
        self._monotonic_s = monotonic_s
        self._lost = lost
        self._segments: deque[Segment] = deque()
        self._writer: SegmentWriter | None = None
        self._reader: SegmentReader | None = None
        self._cursor_due_s = monotonic_s() + _CURSOR_S
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._cursor = SpoolCursor(folder / "cursor")
            self._find_leftovers()
        except OSError as error:
            raise StateError(
                f"{folder} cannot hold the spool ({error.strerror}): give a writable --state-dir, or --spool-mb 0"
            ) from None
        self.unread = self.resumed = sum(segment.unread for segment in self._segments)
        self.read_upto = self._confirmed = self._cursor.value
        self._next = max(self._cursor.value, *(segment.last for segment in self._segments), -1) + 1
        self._first_new = self._next
        self._last_key = -1
        self._chain_whole = not self.unread

    @property
    def size_bytes(self) -> int:
        """What the segments take of the disk."""
        return sum(segment.size for segment in self._segments)

    @property
    def tip_decodes(self) -> bool:
        """Whether the frame that was appended last will decode, once all that is unread has come out."""
        return self._chain_whole or self._last_key > self.read_upto

    def append(self, outgoing: Outgoing) -> list[Outgoing]:
        """Take a frame in; answers with those that had to give way, perhaps itself.

        Into an empty spool a P comes only if its reference went out before.

        Raises:
            OSError: the disk refuses it; the frame is not in.
        """
        record = format_record(self._next, outgoing)
        dropped = self._make_room(len(record))
        if self.size_bytes + len(record) > self._limit_bytes:
            return [*dropped, outgoing]
        self._write(record)
        self._chain_whole = self._chain_whole or not self.unread
        self.unread += 1
        if not outgoing.depends:
            self._last_key = self._next
        self._next += 1
        return dropped

    def read(self) -> Read | None:
        """The oldest frame that was not read; ``None`` if there is none."""
        while self.unread:
            segment = next(segment for segment in self._segments if segment.unread)
            read = self._read_from(segment)
            if read is not None:
                return read
            self._give_up(segment)
        return None

    def confirm(self, upto: int) -> None:
        """All frames up to this number have met their fate; they need not be kept."""
        self._confirmed = max(self._confirmed, upto)
        if not self.unread and self._confirmed >= self._next - 1:
            self._abandon_writer()
        while self._segments and self._segments[0].last <= self._confirmed and not self._is_written(self._segments[0]):
            self._delete(self._segments.popleft())
        behind = self._confirmed - self._cursor.value
        if behind >= _CURSOR_FRAMES or (behind > 0 and self._monotonic_s() >= self._cursor_due_s):
            self._write_cursor()

    def close(self) -> None:
        """Make everything durable and let go of the files."""
        self._close_writer()
        self._close_reader()
        if self._confirmed > self._cursor.value:
            self._write_cursor()
        self._cursor.close()

    def _find_leftovers(self) -> None:
        for path in find_segments(self._folder):
            numbers = [stored.number for stored in read_all(path)]
            unread = sum(number > self._cursor.value for number in numbers)
            segment = Segment(path, path.stat().st_size, max(numbers, default=-1), unread)
            if unread:
                self._segments.append(segment)
            else:
                self._delete(segment)

    def _make_room(self, wanted_bytes: int) -> list[Outgoing]:
        dropped: list[Outgoing] = []
        while self._keep is Keep.NEWEST and self._segments and self.size_bytes + wanted_bytes > self._limit_bytes:
            if self._is_written(self._segments[0]):
                self._close_writer()
            oldest = self._segments[0]
            while oldest.unread:
                read = self._read_from(oldest)
                if read is None:
                    self._give_up(oldest)
                else:
                    dropped.append(read.outgoing)
            self._chain_whole = False
            self._delete(self._segments.popleft())
        return dropped

    def _read_from(self, segment: Segment) -> Read | None:
        try:
            if self._reader is None or self._reader.path != segment.path:
                self._close_reader()
                self._reader = SegmentReader(segment.path)
            while (stored := self._reader.next(segment.size)) is not None:
                if stored.number > self.read_upto:
                    return self._deliver(segment, stored.number, stored.outgoing)
        except OSError as error:
            _LOG.error("spool_unreadable", file=str(segment.path), cause=error.strerror)
        return None

    def _deliver(self, segment: Segment, number: int, outgoing: Outgoing) -> Read:
        segment.unread -= 1
        self.unread -= 1
        follows = number == self.read_upto + 1 and self._chain_whole
        self.read_upto = number
        self._chain_whole = follows or not outgoing.depends
        return Read(replace(outgoing, stored=number, resumed=number < self._first_new), orphan=not self._chain_whole)

    def _give_up(self, segment: Segment) -> None:
        """What should be in a segment and cannot be read is lost."""
        _LOG.error("spool_damaged", file=str(segment.path), frames=segment.unread)
        self._lost(segment.unread)
        self.unread -= segment.unread
        segment.unread = 0
        self.read_upto = max(self.read_upto, segment.last)
        self._chain_whole = False

    def _write(self, record: bytes) -> None:
        try:
            self._open_writer().append(self._next, record)
        except OSError:
            self._abandon_writer()
            if self._segments and not self._segments[-1].size:
                self._segments.pop()
            raise

    def _open_writer(self) -> SegmentWriter:
        if self._writer is not None and self._writer.segment.size >= self._segment_bytes:
            self._close_writer()
        if self._writer is None:
            self._writer = SegmentWriter(self._folder, self._next, self._monotonic_s)
            self._segments.append(self._writer.segment)
        return self._writer

    def _is_written(self, segment: Segment) -> bool:
        return self._writer is not None and self._writer.segment is segment

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except OSError as error:
                _LOG.error("spool_unwritable", file=str(writer.segment.path), cause=error.strerror)

    def _abandon_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _delete(self, segment: Segment) -> None:
        if self._reader is not None and self._reader.path == segment.path:
            self._close_reader()
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            _LOG.error("spool_unwritable", file=str(segment.path), cause=error.strerror)

    def _write_cursor(self) -> None:
        self._cursor_due_s = self._monotonic_s() + _CURSOR_S
        try:
            self._cursor.write(self._confirmed)
        except OSError as error:
            _LOG.error("spool_unwritable", file="cursor", cause=error.strerror)
