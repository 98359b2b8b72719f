"""What a camera must remember over a reboot: its last boot epoch, durable before the first frame.

A frame's identity is (stream, epoch, sequence), and a sealed packet's nonce is (epoch, sequence). Sequences begin at 0
at every boot, so an epoch must grow from boot to boot, and must never come twice under one key: a repeated nonce
breaks ChaCha20-Poly1305 (RFC 8439, 2.8). The u64 is laid out as a time-ordered UUID is (RFC 9562, 6.2):

::

    63                             32 31                              0
    ┌────────────────────────────────┬────────────────────────────────┐
    │ max(stored + 1, Unix seconds)  │ random, new at every boot      │
    └────────────────────────────────┴────────────────────────────────┘

The file carries the high half past a clock that runs backwards, the clock carries it past a file that is lost. Where
both fail (a backup of the folder restored, or one disk image in two cameras, under a clock in 1970) the high half comes
again and the random half tells the boots apart.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog

from narrows.contract.errors import StateError
from narrows.contract.wire.keys import check_stream_id
from narrows.runtime.surroundings import state_home

_LOG = structlog.get_logger("edge.state")
_RANDOM_BITS, _HIGH_MOST = 32, (1 << 32) - 1
_CLOCK_MOST_S = 4_102_444_800
"""2100-01-01: a clock beyond is not set. Believed once, it would leave hardly an epoch to count up to."""
_FILE, _LOCK = "epoch", "lock"


class StateFolder:
    """The folder of one stream's state, held by one program at a time."""

    def __init__(self, folder: Path, random_bits: Callable[[int], int] = secrets.randbits) -> None:
        """Make and lock the folder. ``random_bits`` gives a number of so many unpredictable bits.

        Raises:
            StateError: it cannot be made, or another program sends this stream.
        """
        self._folder, self._random_bits = folder, random_bits
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"{folder} cannot hold the boot epoch ({error.strerror}): give a writable --state-dir"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StateError(f"{folder} is in use: another `narrows edge` sends this stream") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def next_epoch(self, now_ms: int, not_before_ms: int = 0) -> int:
        """The epoch of this boot, on disk before it is returned.

        Args:
            now_ms: this machine's clock.
            not_before_ms: when the key that seals with this epoch was issued; 0 if none does.

        Raises:
            StateError: it cannot be made durable; or nothing is stored and the clock is behind the key, so that the
                cloud would refuse this boot's frames as older than an earlier boot's.
        """
        stored = self._stored()
        if stored == 0 and now_ms < not_before_ms:
            raise StateError(
                f"{self._folder} holds no boot epoch, and this machine's clock is behind the key's date of issue: "
                "set the clock (NTP)"
            )
        clock_s = now_ms // 1000
        high = max((stored >> _RANDOM_BITS) + 1, clock_s if clock_s <= _CLOCK_MOST_S else 0)
        epoch = high << _RANDOM_BITS | self._random_bits(_RANDOM_BITS)
        try:
            write_durably(self._folder / _FILE, format_epoch(epoch))
        except OSError as error:
            raise StateError(
                f"the boot epoch cannot be written to {self._folder} ({error.strerror}): give a writable --state-dir"
            ) from None
        return epoch

    def _stored(self) -> int:
        path = self._folder / _FILE
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StateError(f"{path} cannot be read ({error.strerror}): mend it or give another --state-dir") from None
        stored = parse_epoch(data)
        if stored is None:
            _LOG.warning("epoch_unreadable", file=str(path), consequence="the clock alone gives this boot's epoch")
            return 0
        return stored


def format_epoch(epoch: int) -> bytes:
    """``EPOCH CRC32`` in one line."""
    digits = str(epoch).encode()
    return b"%b %08x\n" % (digits, zlib.crc32(digits))


def parse_epoch(data: bytes) -> int | None:
    """Read what :func:`format_epoch` wrote; ``None`` for anything else, or for an epoch that has no successor."""
    digits, _, _ = data.partition(b" ")
    if len(data) > 64 or not (digits.isdigit() and format_epoch(int(digits)) == data):
        return None
    epoch = int(digits)
    return epoch if epoch >> _RANDOM_BITS < _HIGH_MOST else None


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file, on disk before this returns: the old one or the new one is there, whenever power is cut.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def default_folder(stream: str) -> Path:
    """``~/.local/state/narrows/STREAM``, or below ``$XDG_STATE_HOME``.

    Raises:
        StreamIdInvalid: the id cannot name a folder, or a stream.
        StateError: there is no home folder.
    """
    return state_home() / "narrows" / check_stream_id(stream)
