"""Sealing this camera's packets with its key file, which may be replaced while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from narrows.contract.errors import SecretError
from narrows.contract.seal import CameraKey, seal_frame, seal_packet
from narrows.contract.secret_files import read_secret
from narrows.contract.wire import FeaturePacket, FrameIdentity
from narrows.contract.wire.frame_packet import FramePacket

_LOG = structlog.get_logger("edge.seal")
_LOOK_S = 1.0


class Sealing:
    """Seals packets, each identity once and in rising order, with the newest key that could be read."""

    def __init__(self, file: Path, stream: str, monotonic_s: Callable[[], float]) -> None:
        """Read the key.

        Raises:
            SecretError: it cannot be read, others could read it, or it is for another stream.
        """
        self._file, self._stream, self._monotonic_s = file, stream, monotonic_s
        self._stamp = self._stamp_of_file()
        self._key = self._read()
        self._look_s = monotonic_s() + _LOOK_S
        self._last: FrameIdentity | None = None

    @property
    def issued_ms(self) -> int:
        """When the key was issued, Unix milliseconds."""
        return self._key.issued_ms

    @property
    def key_id(self) -> int:
        """The id of the key in use."""
        return self._key.key_id

    def sealed(self, packet: FeaturePacket) -> FeaturePacket:
        """The packet, sealed.

        Raises:
            ValueError: its identity is not above the last one's: a nonce would be used twice.
        """
        self._look()
        self._use(packet.identity)
        return seal_packet(packet, self._key)

    def newest_key_id(self) -> int:
        """The id of the key to use, after a look for another: what a context of format 2 begins with."""
        self._look()
        return self._key.key_id

    def sealed_frame(self, packet: FramePacket) -> bytes:
        """A packet of format 2, sealed with the key that :meth:`newest_key_id` told of.

        Raises:
            ValueError: its identity is not above the last one's: a nonce would be used twice.
        """
        self._use(packet.head.identity)
        return seal_frame(packet, self._key)

    def _use(self, identity: FrameIdentity) -> None:
        if self._last is not None and identity <= self._last:
            raise ValueError(f"{identity} after {self._last}: an identity is sealed once")
        self._last = identity

    def _look(self) -> None:
        """Once a second: take up another key; what cannot be used changes nothing."""
        if self._monotonic_s() < self._look_s:
            return
        self._look_s = self._monotonic_s() + _LOOK_S
        stamp = self._stamp_of_file()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._key = self._read()
        except SecretError as error:
            _LOG.warning("seal_key_unreadable", remedy=str(error), consequence=f"key {self.key_id} stays in use")
        else:
            _LOG.info("seal_key_loaded", key_id=self.key_id)

    def _read(self) -> CameraKey:
        try:
            key = CameraKey.parse(read_secret(self._file))
        except SecretError as error:
            raise SecretError(f"--key-file {self._file}: {error}") from None
        if key.stream != self._stream:
            raise SecretError(f"--key-file {self._file} is the key of {key.stream}, and this is {self._stream}")
        return key

    def _stamp_of_file(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
