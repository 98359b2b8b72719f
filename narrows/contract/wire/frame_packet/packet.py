"""FramePacket: one frame's sections under one identity. Specified in ``docs/wire-format.md``, format 2.

::

    bytes ─ Envelope.parse ─► envelope ─ head(kept context) ─► header ─┬─ open: CRC ─────┬─► body ─► sections
                                                                       └─ sealed: opened ┘
"""

from __future__ import annotations

import struct
import zlib

from msgspec import Struct

from narrows.contract.errors import FieldInvalid, PacketCorrupt, PacketTooLarge, PacketTruncated
from narrows.contract.wire.feature import MAX_PACKET_BYTES, FrameIdentity
from narrows.contract.wire.frame_packet.header import FrameHead
from narrows.contract.wire.frame_packet.section import Section, read_body, write_body

_CRC = struct.Struct("<I")


class FramePacket(Struct, frozen=True):
    """A header in full, and the sections that its context lays out."""

    head: FrameHead
    sections: tuple[Section, ...]

    @property
    def identity(self) -> FrameIdentity:
        """The frame's identity within its stream."""
        return self.head.identity

    def body(self) -> bytes:
        """What is covered by the CRC, or hidden by a seal.

        Raises:
            SectionCount, PayloadEmpty, FieldInvalid: see :func:`write_body`.
        """
        return write_body(self.head.context.sections, self.sections)

    def to_bytes(self) -> bytes:
        """An open packet.

        Raises:
            PacketError: a receiver would refuse it; or its context is of sealed packets.
        """
        _check_open(self.head)
        header, body = self.head.short(), self.body()
        crc = zlib.crc32(body, zlib.crc32(self.head.full()))
        return within_limit(b"".join((header, body, _CRC.pack(crc))))

    @classmethod
    def of_body(cls, head: FrameHead, body: bytes) -> FramePacket:
        """A packet of a body that was checked, or opened.

        Raises:
            PacketTruncated, SectionBounds, PayloadEmpty, FieldInvalid: see :func:`read_body`.
        """
        return cls(head, read_body(head.context.sections, body))

    @classmethod
    def of_open(cls, head: FrameHead, rest: bytes) -> FramePacket:
        """An open packet of its envelope's rest.

        Raises:
            PacketCorrupt: the CRC over the full header and the body does not match.
            PacketError: see :meth:`of_body`; or its context is of sealed packets.
        """
        _check_open(head)
        if len(rest) < _CRC.size:
            raise PacketTruncated(f"{len(rest)} bytes behind the header; the CRC alone has {_CRC.size}")
        body = rest[: -_CRC.size]
        (claimed,) = _CRC.unpack_from(rest, len(body))
        if zlib.crc32(body, zlib.crc32(head.full())) != claimed:
            raise PacketCorrupt(f"CRC-32 of {len(body)} bytes and their header does not match: changed on the way")
        return cls.of_body(head, body)


def within_limit(data: bytes) -> bytes:
    """The bytes of a packet that a receiver takes.

    Raises:
        PacketTooLarge: it does not.
    """
    if len(data) > MAX_PACKET_BYTES:
        raise PacketTooLarge(f"{len(data)} bytes; a packet has at most {MAX_PACKET_BYTES}")
    return data


def _check_open(head: FrameHead) -> None:
    if head.context.cipher:
        raise FieldInvalid(f"a packet of cipher suite {head.context.cipher} is no open one")
