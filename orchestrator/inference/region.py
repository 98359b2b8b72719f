"""A named piece of shared memory that Triton on the same host may map too.

Its name vanishes with :meth:`SharedRegion.unlink`; its memory lives as long as any array on it. A process that is
killed leaves the name behind: its guardian removes it, if it has one, else the next start of any dispatcher does. A
lock that the kernel drops with the process tells the dead from the living.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import ServiceError

FOLDER = Path("/dev/shm")  # noqa: S108
_OWN_PREFIX = "narrows-slot-"
_ALIGNMENT = 64
_YOUNG_S = 10.0


class SharedRegion:
    """Zeroed shared memory under a name of its own.

    Attributes:
        name: its name, as ``shm_open`` takes it without the slash.
        size_bytes: its size.
    """

    def __init__(self, size_bytes: int) -> None:
        """Make it.

        Raises:
            ServiceError: there is no shared memory on this machine, or not enough.
        """
        self.name = f"{os.environ.get('NARROWS_SHM_PREFIX') or _OWN_PREFIX}{secrets.token_hex(8)}"
        self.size_bytes = size_bytes
        try:
            self._file = (FOLDER / self.name).open("x+b", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.posix_fallocate(self._file.fileno(), 0, size_bytes)
            self._memory = mmap.mmap(self._file.fileno(), size_bytes)
        except OSError as error:
            self.unlink()
            raise ServiceError(f"no {size_bytes} bytes of shared memory in {FOLDER}: {error}") from error

    def bytes_at(self, offset: int, size_bytes: int) -> NDArray[np.uint8]:
        """A writable view of part of it."""
        return np.frombuffer(self._memory, np.uint8, size_bytes, offset)

    @property
    def named(self) -> bool:
        """Whether its name is still there, so that others can map it."""
        return (FOLDER / self.name).exists()

    def unlink(self) -> None:
        """Remove the name. May be repeated."""
        with suppress(FileNotFoundError):
            (FOLDER / self.name).unlink()
        if hasattr(self, "_file"):
            self._file.close()


def aligned(size_bytes: int) -> int:
    """The next multiple of a cache line."""
    return -(-size_bytes // _ALIGNMENT) * _ALIGNMENT


def remove_abandoned_regions() -> int:
    """Unlink the regions of processes that are gone; answers how many.

    Very young ones are spared: their owner may be about to lock them.
    """
    if not FOLDER.is_dir():
        return 0
    return sum(_remove_if_abandoned(path) for path in FOLDER.glob(f"{_OWN_PREFIX}*"))


def _remove_if_abandoned(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < _YOUNG_S:
                return False
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError, PermissionError):
        return False
    return True
