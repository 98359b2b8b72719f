"""Whose packets are believed: sealed ones are opened with the key folder's keys, which may change at any time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from narrows.contract.errors import SealKeyUnknown, SealMissing, SecretError
from narrows.contract.seal import CameraKey, Keyring, open_frame, open_packet
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.wire.feature import FeaturePacket
from narrows.contract.wire.frame_packet import FrameHead, FramePacket
from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class KeySettings:
    """Where keys lie (``None``: there are none), and whether open packets are refused."""

    folder: Path | None = None
    require_sealed: bool = False


class Unsealing:
    """Opens packets with the newest keys that could be read.

    Raises:
        SecretError: sealed packets are required and there is no key folder, or it cannot be used.
    """

    def __init__(
        self, settings: KeySettings, metrics: Metrics, faults: Faults, now_s: Callable[[], float] = time.time
    ) -> None:
        if settings.require_sealed and settings.folder is None:
            raise SecretError("--require-sealed without --keys would refuse every packet: name the key folder")
        self._folder = None if settings.folder is None else KeyFolder(settings.folder)
        self._required = settings.require_sealed
        self._metrics, self._faults, self._now_s = metrics, faults, now_s
        self._stamp = None if self._folder is None else self._folder.stamp()
        self._ring = Keyring() if self._folder is None else self._folder.read()
        self._keys: dict[tuple[str, int], CameraKey] = {}

    def opened(self, packet: FeaturePacket, stream: str) -> FeaturePacket:
        """The packet as it is coded; a sealed one is authentic then.

        Raises:
            SealRefused: by name; nothing in its header is to be believed.
        """
        if packet.cipher == 0:
            self._take_open(stream)
            return packet
        found = open_packet(packet, self._key(stream, packet.key_id))
        self._metrics.sealed_by(str(packet.key_id)).inc()
        return found

    def opened_frame(self, head: FrameHead, rest: bytes, stream: str) -> FramePacket:
        """The same of a packet of format 2, from its full header and what follows it.

        Raises:
            PacketError: an open one whose CRC does not match, or a malformed body.
            SealRefused: by name; nothing in its header is to be believed.
        """
        key_id = head.context.key_id
        if head.context.cipher == 0:
            found = FramePacket.of_open(head, rest)
            self._take_open(stream)
            return found
        found = open_frame(head, rest, self._key(stream, key_id))
        self._metrics.sealed_by(str(key_id)).inc()
        return found

    def _take_open(self, stream: str) -> None:
        if self._required:
            raise SealMissing(f"an open packet; this install takes sealed ones alone: give {stream} its --key-file")
        self._metrics.sealed_by("0").inc()

    def _key(self, stream: str, key_id: int) -> CameraKey:
        """A stream's key; derived once, and judged every time, for its time may be over."""
        if self._folder is None:
            raise SealKeyUnknown(f"sealed with key {key_id}, and this dispatcher has no keys: give it --keys")
        self._ring.check(stream, key_id, self._now_s() * 1000)
        key = self._keys.get((stream, key_id))
        if key is None:
            key = self._keys[stream, key_id] = self._ring.derive(stream, key_id)
        return key

    async def run(self) -> None:
        """Take up changes of the key file within about a second, for ever. What cannot be read changes nothing."""
        while self._folder is not None:
            await asyncio.sleep(_LOOK_S)
            self._look(self._folder)

    def _look(self, folder: KeyFolder) -> None:
        stamp = folder.stamp()
        if stamp == self._stamp and stamp is not None:
            self._faults.end(Cause.KEYS_UNREADABLE)
            return
        try:
            ring = folder.read()
        except SecretError as error:
            self._faults.begin(Cause.KEYS_UNREADABLE, f"the keys read before stay in force: {error}")
            return
        self._faults.end(Cause.KEYS_UNREADABLE)
        self._stamp, self._ring, self._keys = stamp, ring, {}
        _log.info("seal_keys_loaded", roots=sorted(ring.roots), revoked=len(ring.revoked))
