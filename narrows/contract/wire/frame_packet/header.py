"""A packet's header, short as it travels and in full as it is authenticated.

::

    short   0  u8   bits 0-3 version (2), 4 kind, 5 context follows, 6-7 P: reference distance less one
            1  u32  context id
            5  u16  sequence, counted from the context's
            7  u16  capture time, milliseconds from the context's
            9  ...  the context, where bit 5 says so

    full    0  u8   as above      5  u32  sequence      15  ...  the context
            1  u32  context id    9  u48  capture time

Sequence and capture time are distances from the context, not truncated: whatever was lost, repeated or came late, a
packet has one identity, or none here (:class:`ContextLost`). A camera begins a new context where 16 bits end.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from narrows.contract.errors import ContextLost, FieldInvalid, PacketTooLarge, PacketTruncated, SchemaUnknown
from narrows.contract.wire.feature import MAX_PACKET_BYTES, FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet.context import PacketContext

FORMAT = 2
SHORT_HEADER_BYTES = 9
LEAST_PACKET_BYTES = SHORT_HEADER_BYTES + 3 + 1 + 4
"""Header, digest, one byte of payload, CRC."""
MAX_DISTANCE = 4
_SHORT = struct.Struct("<BIHH")
_FULL = struct.Struct("<BIIIH")
_NONCE = struct.Struct("<QI")
_VERSION, _PREDICTED, _CONTEXT = 0x0F, 0x10, 0x20


def is_frame_packet(data: bytes) -> bool:
    """Whether bytes are to be read as a packet of format 2, by the first of them."""
    return bool(data) and data[0] & _VERSION == FORMAT


class FrameHead(Struct, frozen=True):
    """A packet's header, in full.

    Attributes:
        sequence: counts frames within the context's epoch, from 0.
        capture_ms: the camera's clock when the frame was taken, Unix milliseconds; may be wrong.
        reference_distance: for P, how many sequences back the reference lies (1-4); else 0.
    """

    context: PacketContext
    sequence: int
    capture_ms: int
    kind: PacketKind = PacketKind.KEY
    reference_distance: int = 0

    @property
    def identity(self) -> FrameIdentity:
        """The frame's identity within its stream."""
        return FrameIdentity(self.context.epoch, self.sequence)

    @property
    def reference(self) -> FrameIdentity:
        """The frame that a P packet is coded against."""
        return FrameIdentity(self.context.epoch, self.sequence - self.reference_distance)

    @property
    def carries_context(self) -> bool:
        """Whether the context travels with it: it is the frame that the context begins with."""
        return self.sequence == self.context.sequence

    def short(self) -> bytes:
        """What travels before the body.

        Raises:
            FieldInvalid: see :meth:`check`.
        """
        self.check()
        first = self.context
        header = _SHORT.pack(
            self._flags(), first.id, self.sequence - first.sequence, self.capture_ms - first.capture_ms
        )
        return header + first.encoded if self.carries_context else header

    def full(self) -> bytes:
        """What a CRC covers and a seal authenticates beside the body."""
        first, time_ms = self.context, self.capture_ms
        return _FULL.pack(self._flags(), first.id, self.sequence, time_ms & 0xFFFFFFFF, time_ms >> 32) + first.encoded

    def nonce(self) -> bytes:
        """Epoch and sequence, never truncated: 12 bytes that no other packet of the stream has."""
        return _NONCE.pack(self.context.epoch, self.sequence)

    def check(self) -> None:
        """Refuse a header that contradicts its context or itself.

        Raises:
            FieldInvalid: it does.
        """
        first = self.context
        if self.carries_context:
            if self.kind is not PacketKind.KEY or self.capture_ms != first.capture_ms:
                raise FieldInvalid("a context begins with a K packet, at that packet's capture time")
        elif not first.reaches(self.sequence, self.capture_ms) or self.sequence > 0xFFFFFFFF:
            raise FieldInvalid(
                f"sequence {self.sequence} and capture time {self.capture_ms} lie beyond their context, which begins at"
                f" {first.sequence} and {first.capture_ms}: begin another"
            )
        if self.capture_ms >= 1 << 48:
            raise FieldInvalid(f"capture time {self.capture_ms} does not fit 48 bits")
        self._check_reference()

    def _check_reference(self) -> None:
        distance = self.reference_distance
        if self.kind is PacketKind.KEY:
            if distance:
                raise FieldInvalid("a K packet names no reference")
        elif not 1 <= distance <= MAX_DISTANCE:
            raise FieldInvalid(f"a P packet needs a reference distance of 1-{MAX_DISTANCE}")
        elif distance > self.sequence - self.context.sequence:
            raise FieldInvalid(f"a reference {distance} back from {self.sequence} lies before its context")

    def _flags(self) -> int:
        flags = FORMAT | (_CONTEXT if self.carries_context else 0)
        if self.kind is PacketKind.PREDICTED:
            flags |= _PREDICTED | (self.reference_distance - 1) << 6
        return flags


class Envelope(Struct, frozen=True):
    """What can be read of a packet before its context is at hand; none of it is to be believed yet.

    Attributes:
        context: where it travels with the packet; else ``None``.
        rest: body and CRC, or ciphertext and tag.
    """

    context_id: int
    sequence_offset: int
    capture_offset_ms: int
    kind: PacketKind
    reference_distance: int
    context: PacketContext | None
    rest: bytes

    @classmethod
    def parse(cls, data: bytes) -> Envelope:
        """Read a packet's outside, whatever the bytes; nothing is allocated by what it claims.

        Raises:
            PacketTooLarge, PacketTruncated, SchemaUnknown: the bytes as a whole.
            SectionCount, SectionKindUnknown, SectionOrder, SectionOverlap, ShapeBeyondLimits: of its context.
            FieldInvalid: what it says.
        """
        if len(data) > MAX_PACKET_BYTES:
            raise PacketTooLarge(f"{len(data)} bytes; a packet has at most {MAX_PACKET_BYTES}")
        if len(data) < LEAST_PACKET_BYTES:
            raise PacketTruncated(f"{len(data)} bytes; a packet has at least {LEAST_PACKET_BYTES}")
        flags, context_id, sequence_offset, capture_offset_ms = _SHORT.unpack_from(data)
        if flags & _VERSION != FORMAT:
            raise SchemaUnknown(f"packet format {flags & _VERSION}; this parser reads {FORMAT}")
        kind = PacketKind.PREDICTED if flags & _PREDICTED else PacketKind.KEY
        if kind is PacketKind.KEY and flags >> 6:
            raise FieldInvalid("a K packet names no reference")
        distance = (flags >> 6) + 1 if kind is PacketKind.PREDICTED else 0
        if bool(flags & _CONTEXT) != (sequence_offset == 0):
            raise FieldInvalid(
                f"sequence offset {sequence_offset}: the packet with offset 0 carries the context, no other"
            )
        context, begin = None, SHORT_HEADER_BYTES
        if flags & _CONTEXT:
            context, begin = PacketContext.read(data, begin)
        return cls(context_id, sequence_offset, capture_offset_ms, kind, distance, context, data[begin:])

    def head(self, kept: PacketContext | None) -> FrameHead:
        """The header in full, with the context that travelled, or that was kept under its id.

        Raises:
            ContextLost: there is none.
            FieldInvalid: the context is not the one that it names, or contradicts it.
        """
        context = self.context or kept
        if context is None:
            raise ContextLost(f"context {self.context_id:08x} is not here; a key frame is asked for")
        if context.id != self.context_id:
            raise FieldInvalid(f"context {context.id:08x} under the id {self.context_id:08x}")
        head = FrameHead(
            context,
            context.sequence + self.sequence_offset,
            context.capture_ms + self.capture_offset_ms,
            self.kind,
            self.reference_distance,
        )
        head.check()
        return head
