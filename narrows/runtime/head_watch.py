"""A bundle's heads as its folder lists them now: they come and go while programs run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import RECORD
from narrows.contract.errors import BundleError
from narrows.runtime.reminder import Reminder

_log = structlog.get_logger(__name__)
_Stamp = tuple[int, int, int] | None
RETRY_S = 5.0
"""Opening a bundle reads all of it; what its record names may be copied after the record, so it is tried again."""


class HeadWatch:
    """Looks at a bundle's record of heads, and opens the bundle again when that changed.

    Attributes:
        bundle: as it was when it could be opened last. Its id and all that cameras know of it never change here.
        removed: heads that it had in the meantime and has no longer.
    """

    def __init__(self, bundle: Bundle, clock: Callable[[], float] = time.monotonic) -> None:
        self.bundle, self._clock = bundle, clock
        self.removed: frozenset[str] = frozenset()
        self._path = bundle.folder / RECORD
        self._seen = _stamp(self._path)
        self._refused: tuple[_Stamp, float] | None = None
        self._reminder = Reminder()

    async def look(self) -> bool:
        """Whether the heads are others than before. What cannot be opened is said, tried again, and changes nothing."""
        stamp = _stamp(self._path)
        if stamp == self._seen or self._rests(stamp):
            return False
        try:
            found = await asyncio.to_thread(Bundle.open, self.bundle.folder)
            self._check_same(found)
        except (BundleError, OSError) as error:
            self._refused = stamp, self._clock()
            if self._reminder.due(str(error)):
                _log.warning("heads_refused", bundle=self.bundle.hex_id, error=str(error))
            return False
        self._reminder.over()
        self._refused = None
        changed, self._seen = found.heads != self.bundle.heads, stamp
        self.removed = (self.removed | _names(self.bundle)) - _names(found)
        self.bundle = found
        return changed

    def _rests(self, stamp: _Stamp) -> bool:
        """Whether this very record was refused a moment ago."""
        if self._refused is None:
            return False
        refused, at_s = self._refused
        return stamp == refused and self._clock() - at_s < RETRY_S

    def _check_same(self, found: Bundle) -> None:
        if found.id != self.bundle.id:
            raise BundleError(
                f"{found.folder} holds bundle {found.hex_id} now, not {self.bundle.hex_id}: start what serves it anew"
            )


def _names(bundle: Bundle) -> frozenset[str]:
    return frozenset(head.name for head in bundle.heads.heads)


def _stamp(path: Path) -> _Stamp:
    """What differs once a file was replaced; ``None`` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
