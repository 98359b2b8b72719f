"""A latent's symbols: decoded in the order of their stream, from what its references left.

::

    P packet ─ reference at hand? ─┬─ yes ─────────────────────────────► symbols ─ remembered for the next
                                   ├─ came too late for a mask: decoded now ──▲
                                   └─ ended under an earlier owner: its chain is read again ──▲ | reference_lost
"""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.bundle import LEVEL, SYMBOLS
from narrows.contract.codec import Memory, decode_symbols, symbol_digest
from narrows.contract.errors import FrameRefused, ReferenceLost
from narrows.contract.wire.feature import PacketKind
from narrows.contract.wire.frame_packet import FramePacket, Section
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.digests import check_digest
from orchestrator.dispatch.packets import Packets
from orchestrator.dispatch.sections import contents_of
from orchestrator.dispatch.stream import Stream
from orchestrator.dispatch.workers import Workers
from orchestrator.inference.contract import Inputs

_log = structlog.get_logger(__name__)
Symbols = NDArray[np.int8]


class Latents:
    """Decodes the latents of streams. Each packet's first section is one, and fits its bundle."""

    def __init__(self, store: Store, packets: Packets, workers: Workers) -> None:
        self._store, self._packets, self._workers = store, packets, workers

    async def alone(self, packet: FramePacket, bundle: Bundle) -> Symbols:
        """The symbols ``(C, h, w)`` int8 of a K packet that no other will be coded against.

        Raises:
            FrameRefused: by name.
        """
        return await self._symbols(packet, bundle, None)

    async def following(self, stream: Stream, packet: FramePacket, bundle: Bundle) -> Symbols:
        """The symbols ``(C, h, w)`` int8 of the next latent of a stream, K or P; later ones may be coded against it.

        Raises:
            ReferenceLost: those that it is coded against cannot be had.
            FrameRefused: by another name.
            ServiceError: Redis is away.
        """
        references = stream.references
        if packet.head.kind is PacketKind.PREDICTED and not stream.chain_read and not references.has_reference(packet):
            await self._resume_chain(stream, bundle)
        for earlier in references.postponed_for(packet):
            try:
                references.remember(earlier, await self._symbols(earlier, bundle, references.memory_for(earlier)))
            except FrameRefused as refusal:
                own, before = packet.head.sequence, earlier.head.sequence
                raise ReferenceLost(f"frame {own} needs {before}, and it has {refusal}") from None
        symbols = await self._symbols(packet, bundle, references.memory_for(packet))
        references.remember(packet, symbols)
        return symbols

    async def _resume_chain(self, stream: Stream, bundle: Bundle) -> None:
        """Decode again what an earlier owner ended since the last key frame: this one's frames are coded against it."""
        stream.chain_read = True
        references = stream.references
        for data in await self._store.call("LRANGE", stream.keys.chain, 0, -1):
            try:
                packet = await self._packets.of_chain(stream, data)
                if packet.head.context.bundle_id != bundle.id:
                    return
                contents_of(packet, bundle)
                references.remember(packet, await self._symbols(packet, bundle, references.memory_for(packet)))
            except FrameRefused as refusal:
                _log.warning("chain_broken", stream=stream.id, reason=refusal.reason, detail=str(refusal))
                return
            await asyncio.sleep(0)  # other streams' frames come between

    async def _symbols(self, packet: FramePacket, bundle: Bundle, memory: Memory | None) -> Symbols:
        context = packet.head.context
        shape = bundle.manifest.cuts[context.cut].latent
        work = partial(_decode_checked, packet.sections[0], shape.as_tuple(), bundle, context.sections[0].level, memory)
        return await self._workers.on_symbols(shape.symbols, work)


def inputs_of(symbols: Symbols, level: int) -> Inputs:
    """What a joint decoder takes of a frame."""
    return {SYMBOLS: symbols, LEVEL: np.array([level], np.int32)}


def _decode_checked(
    section: Section, shape: tuple[int, int, int], bundle: Bundle, level: int, memory: Memory | None
) -> Symbols:
    symbols = decode_symbols(section.payload, shape, bundle.tables, level, memory)
    check_digest(section, symbol_digest(symbols), "symbols")
    return symbols
