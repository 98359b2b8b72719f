"""A latent's symbols: decoded in the order of their stream, from what its references left.

::

    P packet ─ reference at hand? ─┬─ yes ─────────────────────────────► symbols ─ remembered for the next
                                   ├─ came too late for a mask: decoded now ──▲
                                   └─ ended under an earlier owner: its chain is read again ──▲ | reference_lost
"""

from __future__ import annotations

import asyncio

import numpy as np
import structlog

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.bundle import LEVEL, SYMBOLS
from narrows.contract.codec import CodedPlane, Memory
from narrows.contract.errors import FrameRefused, ReferenceLost
from narrows.contract.wire.feature import PacketKind
from narrows.contract.wire.frame_packet import FramePacket
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.digests import check_digest
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.sections import contents_of
from orchestrator.dispatch.stream import Frame, Stream
from orchestrator.dispatch.symbol_decoding import SymbolDecoding, Symbols, TimedPlane
from orchestrator.inference.contract import Inputs

_log = structlog.get_logger(__name__)


class Latents:
    """Decodes the latents of streams. Each packet's first section is one, and fits its bundle."""

    def __init__(self, store: Store, packets: Packets, decoding: SymbolDecoding) -> None:
        self._store, self._packets, self._decoding = store, packets, decoding

    async def alone(self, frame: Frame, packet: FramePacket, bundle: Bundle) -> Symbols:
        """The symbols ``(C, h, w)`` int8 of a K packet that no other will be coded against.

        Raises:
            FrameRefused: by name.
        """
        return (await self._symbols(packet, bundle, None, alone=frame.claimed)).symbols

    async def following(self, frame: Frame, packet: FramePacket, bundle: Bundle) -> TimedPlane:
        """The symbols ``(C, h, w)`` int8 of the next latent of a stream, K or P; later ones may be coded against it.

        Raises:
            ReferenceLost: those that it is coded against cannot be had.
            FrameRefused: by another name.
            ServiceError: Redis is away.
        """
        stream, alone = frame.stream, frame.claimed
        references = stream.references
        chain_may_help = not stream.chain_read or references.forgot
        if packet.head.kind is PacketKind.PREDICTED and chain_may_help and not references.has_reference(packet):
            await self._resume_chain(stream, bundle)
        for earlier in references.postponed_for(packet):
            try:
                await self._remembered(stream, earlier, bundle, alone=alone)
            except FrameRefused as refusal:
                own, before = packet.head.sequence, earlier.head.sequence
                raise ReferenceLost(f"frame {own} needs {before}, and it has {refusal}") from None
        return await self._remembered(stream, packet, bundle, alone=alone)

    async def _remembered(self, stream: Stream, packet: FramePacket, bundle: Bundle, *, alone: bool) -> TimedPlane:
        references = stream.references
        found = await self._symbols(packet, bundle, references.memory_for(packet), alone=alone)
        references.remember(packet, found.symbols)
        return found

    async def _resume_chain(self, stream: Stream, bundle: Bundle) -> None:
        """Decode again what an earlier owner ended since the last key frame: this one's frames are coded against it."""
        stream.chain_read, stream.references.forgot = True, False
        for data in await self._store.call("LRANGE", stream.keys.chain, 0, -1):
            try:
                packet = await self._packets.of_chain(stream, data)
                if packet.head.context.bundle_id != bundle.id:
                    return
                contents_of(packet, bundle)
                await self._remembered(stream, packet, bundle, alone=True)
            except FrameRefused as refusal:
                _log.warning("chain_broken", stream=stream.id, reason=refusal.reason, detail=str(refusal))
                return
            await asyncio.sleep(0)  # other streams' frames come between

    async def _symbols(self, packet: FramePacket, bundle: Bundle, memory: Memory | None, *, alone: bool) -> TimedPlane:
        context, section = packet.head.context, packet.sections[0]
        shape, level = bundle.manifest.cuts[context.cut].latent.as_tuple(), context.sections[0].level
        plane = CodedPlane(section.payload, shape, bundle.tables, level, memory)
        found = await self._decoding.decode(plane, alone=alone)
        check_digest(section, found.digest, "symbols")
        return found


def inputs_of(symbols: Symbols, level: int) -> Inputs:
    """What a joint decoder takes of a frame."""
    return {SYMBOLS: symbols, LEVEL: np.array([level], np.int32)}
