"""Packets of format 2 to test with, and their parts put together wrongly."""

from __future__ import annotations

import dataclasses
import struct
import zlib

from narrows.contract.wire import LatentShape, PacketKind
from narrows.contract.wire.frame_packet import (
    Envelope,
    FrameHead,
    FramePacket,
    LabelMap,
    Latent,
    PacketContext,
    Section,
    SectionLayout,
)

LATENT = SectionLayout(Latent(LatentShape(8, 23, 30)))
MAP = SectionLayout(LabelMap(60, 80, 11), depends_on=frozenset({0}))
CONTEXT = PacketContext(1, 2, 300, 4000, (LATENT,))
TWO = dataclasses.replace(CONTEXT, sections=(LATENT, MAP))
KEY = FramePacket(FrameHead(CONTEXT, 300, 4000), (Section(5, b"symbols"),))
PREDICTED = FramePacket(FrameHead(CONTEXT, 301, 4033, PacketKind.PREDICTED, 1), (Section(6, b"sym"),))
BOTH = FramePacket(FrameHead(TWO, 301, 4033), (Section(6, b"symbols"), Section(7, b"labels")))


def parsed(data: bytes, kept: PacketContext | None = None) -> FramePacket:
    envelope = Envelope.parse(data)
    return FramePacket.of_open(envelope.head(kept), envelope.rest)


def with_crc(head: FrameHead, body: bytes) -> bytes:
    """A packet around any body, with its CRC made right."""
    return head.short() + body + struct.pack("<I", zlib.crc32(body, zlib.crc32(head.full())))


def with_context(context: bytes) -> bytes:
    """The outside of a packet that carries these bytes as its context."""
    return bytes([0x22]) + bytes(8) + context + bytes(40)
