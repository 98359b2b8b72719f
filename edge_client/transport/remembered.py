"""What the cloud said last, kept in the state folder: a camera that boots while the link is away goes on by it."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import structlog

from edge_client.state import write_durably
from narrows.contract.errors import RecordError
from narrows.contract.wire.record import Record

_LOG = structlog.get_logger("edge.transport")
R = TypeVar("R", bound=Record)


class Remembered(Generic[R]):
    """A record as it was read last; it is read anew all the same.

    Attributes:
        record: ``None`` before the first.
    """

    def __init__(self, path: Path, kind: type[R]) -> None:
        """Take up what the run before kept; a file that cannot be read is none."""
        self._path = path
        self.record: R | None = None
        try:
            self.record = kind.parse(path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, RecordError) as error:
            self._forgotten(error)

    def remember(self, record: R) -> None:
        """Keep a record that was read; a disk that does not take it costs no frame, and the same one no write."""
        if record == self.record:
            return
        self.record = record
        try:
            write_durably(self._path, record.to_json())
        except OSError as error:
            self._forgotten(error)

    def _forgotten(self, error: Exception) -> None:
        _LOG.warning("record_forgotten", file=str(self._path), cause=str(error))
