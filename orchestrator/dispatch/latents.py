"""A latent's symbols: decoded in the order of their stream, from what its references left.

::

    P packet ─ reference at hand? ─┬─ yes ─────────────────────────────► plane ─ decoded ─ remembered for the next
                                   ├─ came too late for a mask: decoded now ──▲
                                   └─ ended under an earlier owner: its chain is read again ──▲ | reference_lost
"""

from __future__ import annotations

import asyncio
from functools import cache, partial

import numpy as np
import structlog
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.bundle import LEVEL, SYMBOLS
from narrows.contract.codec import CodedPlane, Memory
from narrows.contract.errors import FrameRefused, ReferenceLost
from narrows.contract.wire.feature import PacketKind
from narrows.contract.wire.frame_packet import FramePacket
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.digests import check_digest
from orchestrator.dispatch.missing import Missing, when_there
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.sections import contents_of
from orchestrator.dispatch.stream import Stream
from orchestrator.dispatch.symbol_decoding import Symbols, TimedPlane, decode_alone
from orchestrator.inference.contract import Inputs

_log = structlog.get_logger(__name__)


class Latents:
    """The latents of streams. Each packet's first section is one, and fits its bundle."""

    def __init__(self, store: Store, packets: Packets) -> None:
        self._store, self._packets = store, packets

    def next_plane(self, stream: Stream, packet: FramePacket, bundle: Bundle) -> CodedPlane:
        """What the kernel takes of the next latent of a stream, K or P.

        Raises:
            Missing: an earlier owner's chain may hold what it is coded against.
            ReferenceLost: that cannot be had.
        """
        references = stream.references
        chain_may_help = not stream.chain_read or references.forgot
        if packet.head.kind is PacketKind.PREDICTED and chain_may_help and not references.has_reference(packet):
            raise Missing(partial(self._resume_chain, stream, bundle))
        for earlier in references.postponed_for(packet):
            try:
                remember(stream, earlier, decode_alone(plane_of(earlier, bundle, references.memory_for(earlier))))
            except FrameRefused as refusal:
                own, before = packet.head.sequence, earlier.head.sequence
                raise ReferenceLost(f"frame {own} needs {before}, and it has {refusal}") from None
        return plane_of(packet, bundle, references.memory_for(packet))

    async def _resume_chain(self, stream: Stream, bundle: Bundle) -> None:
        """Decode again what an earlier owner ended since the last key frame: this one's frames are coded against it."""
        stream.chain_read, stream.references.forgot = True, False
        for data in await self._store.call("LRANGE", stream.keys.chain, 0, -1):
            try:
                packet = await when_there(partial(self._packets.of_chain, stream, data))
                if packet.head.context.bundle_id != bundle.id:
                    return
                contents_of(packet, bundle)
                remember(stream, packet, decode_alone(plane_of(packet, bundle, stream.references.memory_for(packet))))
            except FrameRefused as refusal:
                _log.warning("chain_broken", stream=stream.id, reason=refusal.reason, detail=str(refusal))
                return
            await asyncio.sleep(0)  # other streams' frames come between


def plane_of(packet: FramePacket, bundle: Bundle, memory: Memory | None) -> CodedPlane:
    """What the kernel takes of a packet's latent."""
    context = packet.head.context
    shape, level = bundle.manifest.cuts[context.cut].latent.as_tuple(), context.sections[0].level
    return CodedPlane(packet.sections[0].payload, shape, bundle.tables, level, memory)


def checked(packet: FramePacket, found: TimedPlane) -> Symbols:
    """The symbols of a packet's latent.

    Raises:
        DigestMismatch: they are others than the camera coded.
    """
    check_digest(packet.sections[0], found.digest, "symbols")
    return found.symbols


def remember(stream: Stream, packet: FramePacket, found: TimedPlane) -> Symbols:
    """The same, which later packets of the stream may be coded against.

    Raises:
        DigestMismatch: as :func:`checked`.
        ReferenceLost: what it was coded against went meanwhile.
    """
    symbols = checked(packet, found)
    stream.references.remember(packet, symbols)
    return symbols


def inputs_of(symbols: Symbols, level: int) -> Inputs:
    """What a joint decoder takes of a frame."""
    return {SYMBOLS: symbols, LEVEL: _as_input(level)}


@cache
def _as_input(level: int) -> NDArray[np.int32]:
    """There are at most 256 levels, and batches copy them."""
    found = np.array([level], np.int32)
    found.flags.writeable = False
    return found
