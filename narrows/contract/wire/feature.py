"""FeaturePacket v1: one frame's symbols on their way to the cloud. Specified in ``docs/wire-format.md``.

::

     0  u8   schema version (1)          24  u48  capture time, Unix milliseconds
     1  u8   bit 0 kind, 4-7 cipher      30  u8   rate level
     2  u8   key id (0 = open)           31  u8   cut
     3  u8   reference distance (P)      32  u32  shape: channels 10 | height 11 | width 11 bits, each less one
     4  u64  bundle id                   36  u32  digest of the reference's symbols (P)
    12  u64  boot epoch                  40  u32  digest of the packet's own symbols
    20  u32  sequence                    44  u32  CRC-32 of bytes 0-43 and the payload
                                         48  ...  payload

All integers are little-endian. The header up to the CRC is the associated data of a sealed payload.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum

from msgspec import Struct

from narrows.contract.errors import (
    FieldInvalid,
    PacketCorrupt,
    PacketTooLarge,
    PacketTruncated,
    PayloadEmpty,
    SchemaUnknown,
    ShapeBeyondLimits,
)

SCHEMA_VERSION = 1
HEADER_BYTES = 48
MAX_PACKET_BYTES = 1 << 20
MAX_SYMBOLS = 1 << 22
DIGEST_BITS = 32
_COVERED = struct.Struct("<BBBBQQIIHBBIII")
_CRC = struct.Struct("<I")
_CRC_OFFSET = HEADER_BYTES - _CRC.size


class PacketKind(IntEnum):
    """K packets stand alone; P packets are coded given an earlier frame's symbols."""

    KEY = 0
    PREDICTED = 1


class LatentShape(Struct, frozen=True, gc=False):
    """The symbol plane's shape: at most 1024 channels and 2048 x 2048 positions."""

    channels: int
    height: int
    width: int

    @property
    def symbols(self) -> int:
        """How many symbols the shape holds."""
        return self.channels * self.height * self.width

    def as_tuple(self) -> tuple[int, int, int]:
        """``(channels, height, width)``, as NumPy wants it."""
        return self.channels, self.height, self.width


class FrameIdentity(Struct, frozen=True, order=True, gc=False):
    """What makes a frame that frame, whatever the number of its deliveries; unique within a stream."""

    epoch: int
    sequence: int


class FeaturePacket(Struct, frozen=True):
    """One frame's entropy-coded symbols and all that is needed to decode them.

    Attributes:
        bundle_id: the first 8 bytes of the bundle's hash, as an integer.
        epoch: the camera's boot epoch, larger at each boot.
        sequence: counts frames within the epoch, from 0.
        capture_ms: the camera's clock when the frame was taken, Unix milliseconds; may be wrong.
        level: the rate level, an index into the bundle's.
        cut: where the network was split; 0 is the bundle's bottleneck.
        own_digest: CRC-32 of the packet's own symbols, int8 in (C, H, W) order.
        reference_distance: for P, how many sequences back the reference lies (1-255); else 0.
        reference_digest: for P, the digest of the reference's symbols; else 0.
        cipher, key_id: both 0 for an open payload.
    """

    bundle_id: int
    epoch: int
    sequence: int
    capture_ms: int
    level: int
    shape: LatentShape
    own_digest: int
    payload: bytes
    kind: PacketKind = PacketKind.KEY
    reference_distance: int = 0
    reference_digest: int = 0
    cut: int = 0
    cipher: int = 0
    key_id: int = 0

    @property
    def identity(self) -> FrameIdentity:
        """The frame's identity within its stream."""
        return FrameIdentity(self.epoch, self.sequence)

    def associated_data(self) -> bytes:
        """The 44 header bytes before the CRC, which a seal authenticates.

        Raises:
            FieldInvalid: a field is out of its range, or contradicts another.
        """
        _check_kind(self.kind, self.sequence, self.reference_distance, self.reference_digest)
        _check_seal(self.cipher, self.key_id)
        shape = self.shape
        if not (0 < shape.channels <= 1024 and 0 < shape.height <= 2048 and 0 < shape.width <= 2048):
            raise FieldInvalid(f"shape {shape.as_tuple()} does not fit 10 + 11 + 11 bits")
        packed_shape = (shape.channels - 1) | (shape.height - 1) << 10 | (shape.width - 1) << 21
        try:
            return _COVERED.pack(
                SCHEMA_VERSION,
                self.kind | self.cipher << 4,
                self.key_id,
                self.reference_distance,
                self.bundle_id,
                self.epoch,
                self.sequence,
                self.capture_ms & 0xFFFFFFFF,
                self.capture_ms >> 32,
                self.level,
                self.cut,
                packed_shape,
                self.reference_digest,
                self.own_digest,
            )
        except struct.error as error:
            raise FieldInvalid(f"a header field is out of its range: {error}") from None

    def to_bytes(self) -> bytes:
        """Serialise.

        Raises:
            FieldInvalid: a field is out of its range, or contradicts another.
            PayloadEmpty: there is no payload.
            PacketTooLarge, ShapeBeyondLimits: a receiver would refuse it.
        """
        covered = self.associated_data()
        _check_sizes(HEADER_BYTES + len(self.payload), self.shape)
        crc = zlib.crc32(self.payload, zlib.crc32(covered))
        return b"".join((covered, _CRC.pack(crc), self.payload))

    @classmethod
    def parse(cls, data: bytes) -> FeaturePacket:
        """Read a packet, whatever the bytes; nothing is allocated by what the header claims.

        Raises:
            PacketTruncated, PacketTooLarge, SchemaUnknown, PacketCorrupt: the bytes as a whole.
            PayloadEmpty, ShapeBeyondLimits, FieldInvalid: what they say.
        """
        if len(data) > MAX_PACKET_BYTES:
            raise PacketTooLarge(f"{len(data)} bytes; a packet has at most {MAX_PACKET_BYTES}")
        if len(data) < HEADER_BYTES:
            raise PacketTruncated(f"{len(data)} bytes; the header alone has {HEADER_BYTES}")
        if data[0] != SCHEMA_VERSION:
            raise SchemaUnknown(f"packet format {data[0]}; this build reads 1 and 2: upgrade it first")
        (claimed,) = _CRC.unpack_from(data, _CRC_OFFSET)
        payload = data[HEADER_BYTES:]
        if zlib.crc32(payload, zlib.crc32(data[:_CRC_OFFSET])) != claimed:
            raise PacketCorrupt(f"CRC-32 of {len(data)} bytes does not match: changed on the way")
        return cls._from_fields(_COVERED.unpack_from(data), payload)

    @classmethod
    def _from_fields(cls, fields: tuple[int, ...], payload: bytes) -> FeaturePacket:
        _, flags, key_id, distance, bundle_id, epoch, sequence = fields[:7]
        time_low, time_high, level, cut, packed_shape, reference_digest, own_digest = fields[7:]
        shape = LatentShape((packed_shape & 0x3FF) + 1, (packed_shape >> 10 & 0x7FF) + 1, (packed_shape >> 21) + 1)
        _check_sizes(HEADER_BYTES + len(payload), shape)
        if flags & 0x0E:
            raise FieldInvalid(f"reserved flag bits are set: {flags:#04x}")
        kind, cipher = PacketKind(flags & 1), flags >> 4
        _check_kind(kind, sequence, distance, reference_digest)
        _check_seal(cipher, key_id)
        return cls(
            bundle_id=bundle_id,
            epoch=epoch,
            sequence=sequence,
            capture_ms=time_low | time_high << 32,
            level=level,
            shape=shape,
            own_digest=own_digest,
            payload=payload,
            kind=kind,
            reference_distance=distance,
            reference_digest=reference_digest,
            cut=cut,
            cipher=cipher,
            key_id=key_id,
        )


def _check_sizes(packet_bytes: int, shape: LatentShape) -> None:
    if packet_bytes <= HEADER_BYTES:
        raise PayloadEmpty("a packet needs at least one payload byte")
    if packet_bytes > MAX_PACKET_BYTES:
        raise PacketTooLarge(f"{packet_bytes} bytes; a packet has at most {MAX_PACKET_BYTES}")
    if shape.symbols > MAX_SYMBOLS:
        raise ShapeBeyondLimits(f"shape {shape.as_tuple()} has {shape.symbols} symbols; the limit is {MAX_SYMBOLS}")


def _check_kind(kind: PacketKind, sequence: int, distance: int, reference_digest: int) -> None:
    if kind is PacketKind.KEY and (distance or reference_digest):
        raise FieldInvalid("a K packet names no reference")
    if kind is PacketKind.PREDICTED and not distance:
        raise FieldInvalid("a P packet needs a reference distance of 1-255")
    if distance > sequence:
        raise FieldInvalid(f"a reference {distance} back from sequence {sequence} lies before the epoch's first frame")


def _check_seal(cipher: int, key_id: int) -> None:
    if not 0 <= cipher <= 15:
        raise FieldInvalid(f"cipher suite {cipher} does not fit 4 bits")
    if (cipher == 0) != (key_id == 0):
        raise FieldInvalid(f"cipher suite {cipher} with key id {key_id}: both are 0 for an open payload, else neither")
