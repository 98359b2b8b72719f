"""ResultPacket: a frame whose first output is no label map. Specified in ``docs/wire-format.md``.

It stands where a mask packet stands, in the field ``p`` of an outcome of kind ``mask``, and has another version;
each of the frame's outputs has a field of its own beside it.

::

     0  u8   schema version (2)          36  u32  wait in Redis, µs
     1  u8   rate level                  40  u32  entropy decoding, µs
     2  u8   cut                         44  u32  wait for a batch, µs
     3  u8   reserved (0)                48  u32  inference, µs
     4  u64  bundle id                   52  u32  packing, µs
    12  u64  boot epoch                  56  u32  CRC-32 of all before
    20  u32  sequence
    24  u48  capture time, Unix ms
    30  u16  reserved (0)
    32  u32  the frame's packet's bytes
"""

from __future__ import annotations

import struct
import zlib

from msgspec import Struct

from narrows.contract.errors import RecordError
from narrows.contract.outputs import OutputValue
from narrows.contract.outputs.objects import Objects
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.mask import Timings
from narrows.contract.wire.output_packet import OutputPacket, objects_among

SCHEMA_VERSION = 2
_HEAD = struct.Struct("<BBBBQQIIHHI5I")
_CRC = struct.Struct("<I")


class ResultPacket(Struct, frozen=True):
    """What made a frame's outputs, none of which is a label map, and where its time went.

    ``further`` are the outputs. They are no part of these bytes: each has a field of its own beside them.
    """

    bundle_id: int
    identity: FrameIdentity
    capture_ms: int
    level: int
    cut: int
    feature_bytes: int
    timings: Timings = Timings()
    further: tuple[OutputPacket, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> ResultPacket:
        """Read a result packet, whatever the bytes.

        Raises:
            RecordError: the bytes are no result packet; the message says why.
        """
        if len(data) != _HEAD.size + _CRC.size:
            raise RecordError(f"a result packet of {len(data)} bytes; it has {_HEAD.size + _CRC.size}")
        if data[0] != SCHEMA_VERSION:
            raise RecordError(f"result schema version {data[0]}; this build speaks {SCHEMA_VERSION}: upgrade it first")
        if zlib.crc32(data[: _HEAD.size]) != _CRC.unpack_from(data, _HEAD.size)[0]:
            raise RecordError("a result packet's CRC-32 does not match: changed on the way")
        (_, level, cut, zero, bundle_id, epoch, sequence, time_low, time_high, nothing, size, *spans) = (
            _HEAD.unpack_from(data)
        )
        if zero or nothing:
            raise RecordError(f"a result packet's reserved fields are {zero:#04x} and {nothing:#06x}, not 0")
        capture_ms = time_low | time_high << 32
        return cls(bundle_id, FrameIdentity(epoch, sequence), capture_ms, level, cut, size, Timings(*spans))

    @property
    def outputs(self) -> tuple[OutputValue, ...]:
        """The frame's outputs; classes are called by their numbers."""
        return tuple(output.value for output in self.further)

    def output(self, name: str) -> OutputValue | None:
        """The output of that name; ``None`` where the frame has none.

        Example:
            >>> for result in subscribe("cam-1"):
            ...     if isinstance(result, ResultPacket) and (found := result.output("scores")):
            ...         print(found.values.argmax())
        """
        return next((each for each in self.outputs if each.output.name == name), None)

    @property
    def objects(self) -> Objects | None:
        """As of a mask: a camera may send what it outlined and nothing else."""
        return objects_among(self.further)

    def to_bytes(self) -> bytes:
        """Serialise.

        Raises:
            RecordError: a field is out of its range.
        """
        timings = self.timings
        spans = (timings.redis_us, timings.decode_us, timings.batch_us, timings.infer_us, timings.pack_us)
        try:
            head = _HEAD.pack(
                SCHEMA_VERSION,
                self.level,
                self.cut,
                0,
                self.bundle_id,
                self.identity.epoch,
                self.identity.sequence,
                self.capture_ms & 0xFFFFFFFF,
                self.capture_ms >> 32,
                0,
                self.feature_bytes,
                *(min(max(0, span), 0xFFFFFFFF) for span in spans),
            )
        except struct.error as error:
            raise RecordError(f"a result field is out of its range: {error}") from None
        return head + _CRC.pack(zlib.crc32(head))


def is_result(body: bytes) -> bool:
    """Whether an outcome's body is a result packet, by its first byte."""
    return body[:1] == bytes((SCHEMA_VERSION,))
