"""One frame as it lies in a segment. A segment is such records, one behind the other, and nothing else.

::

     0  4s   magic "NSPL"                 20  u64  epoch            42  u16  length of the name
     4  u32  CRC-32 of all that follows   28  u32  sequence         44  f32  network, ms
     8  u32  length of the record         32  u64  capture, ms      48  f32  coder, ms
    12  u64  number in the spool          40  u8   rate level       52  ...  name, UTF-8
                                          41  u8   flags            ...      packet

Flags: bit 0, a packet that depends on one before (a P, say); bits 1-2, what it carries (features, masks, audit).
All integers are little-endian. Whatever the bytes, a reader finds the next record that checks, or none.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from edge_client.encode.frame_kind import FrameKind
from edge_client.transport.outbox import FrameRecord, Outgoing
from narrows.contract.wire.feature import MAX_PACKET_BYTES

MAGIC = b"NSPL"
_PREFIX = struct.Struct("<4sII")
_FIELDS = struct.Struct("<QQIQBBHff")
HEADER_BYTES = _PREFIX.size + _FIELDS.size
_MAX_NAME_BYTES = 1024
MAX_RECORD_BYTES = HEADER_BYTES + _MAX_NAME_BYTES + MAX_PACKET_BYTES
_CRC_FROM = 8
_KINDS = tuple(FrameKind)


class Stored(NamedTuple):
    """A frame and its number in the spool; numbers grow by one."""

    number: int
    outgoing: Outgoing


def format_record(number: int, outgoing: Outgoing) -> bytes:
    """The bytes of a frame; a name of more than a kilobyte is cut short."""
    record = outgoing.record
    name = record.name.encode("utf-8", "replace")[:_MAX_NAME_BYTES]
    fields = _FIELDS.pack(
        number,
        record.epoch,
        record.sequence,
        record.capture_ms,
        record.level,
        outgoing.depends | _KINDS.index(record.kind) << 1,
        len(name),
        record.network_ms,
        record.coder_ms,
    )
    length = HEADER_BYTES + len(name) + len(outgoing.packet)
    covered = b"".join((length.to_bytes(4, "little"), fields, name, outgoing.packet))
    return MAGIC + zlib.crc32(covered).to_bytes(4, "little") + covered


def claimed_length(head: bytes) -> int | None:
    """The length that a record claims, from its first bytes; ``None`` if no record begins so."""
    if len(head) < _PREFIX.size:
        return None
    magic, _, length = _PREFIX.unpack_from(head)
    return length if magic == MAGIC and HEADER_BYTES <= length <= MAX_RECORD_BYTES else None


def parse_record(data: bytes) -> Stored | None:
    """The frame of a record's bytes, or ``None`` if they are not what was written."""
    if claimed_length(data) != len(data):
        return None
    _, crc, _ = _PREFIX.unpack_from(data)
    if zlib.crc32(data[_CRC_FROM:]) != crc:
        return None
    number, epoch, sequence, capture_ms, level, flags, name_bytes, network_ms, coder_ms = _FIELDS.unpack_from(
        data, _PREFIX.size
    )
    packet_at = HEADER_BYTES + name_bytes
    packet = data[packet_at:]
    name = data[HEADER_BYTES:packet_at].decode("utf-8", "replace")
    kind = _KINDS[min(flags >> 1, len(_KINDS) - 1)]
    record = FrameRecord(sequence, epoch, name, capture_ms, len(packet), level, network_ms, coder_ms, kind=kind)
    return Stored(number, Outgoing(record, packet, depends=bool(flags & 1)))
