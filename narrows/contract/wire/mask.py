"""MaskPacket v1: one frame's label map on its way to whoever asked. Specified in ``docs/wire-format.md``.

::

     0  u8   schema version (1)          40  u32  wait in Redis, µs
     1  u8   packing (0, 1 or 2)         44  u32  entropy decoding, µs
     2  u8   classes                     48  u32  wait for a batch, µs
     3  u8   rate level                  52  u32  inference, µs
     4  u64  bundle id                   56  u32  packing, µs
    12  u64  boot epoch                  60  u32  areas: pixels of each class (u32 each)
    20  u32  sequence                     .  ...  payload
    24  u48  capture time, Unix ms        .  u32  CRC-32 of all before
    30  u16  height
    32  u16  width
    34  u16  reserved (0)
    36  u32  feature packet's bytes

Packing 0 is the labels as they are, 1 ``row-xor-deflate`` and 2 ``label-map`` of
:mod:`narrows.contract.outputs.labels`.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from narrows.contract.errors import RecordError
from narrows.contract.outputs import OutputValue
from narrows.contract.outputs.labels import labels_output
from narrows.contract.outputs.labels.packing import MAX_PIXELS, MAX_SIDE, pack_labels, size_fits, unpack_labels
from narrows.contract.outputs.labels.small import LabelTableSource, general_tables_alone, table_id_of, unpack_small
from narrows.contract.outputs.objects import Objects
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.output_packet import OutputPacket, objects_among

SCHEMA_VERSION = 1
MAX_MASK_BYTES = MAX_PIXELS + (1 << 16)
_HEAD = struct.Struct("<BBBBQQIIHHHHIIIIII")
_CRC = struct.Struct("<I")
_MOST_US = 0xFFFFFFFF
_RAW = 0
DEFLATE, SMALL = 1, 2
_MANY_CLASSES = 32  # below, a pass over the bytes for each class is faster than one over them as integers


class Timings(Struct, frozen=True, gc=False):
    """Where a frame's time went in the cloud, microseconds, each capped at 2³² − 1."""

    redis_us: int = 0
    decode_us: int = 0
    batch_us: int = 0
    infer_us: int = 0
    pack_us: int = 0

    @property
    def made_at_camera(self) -> bool:
        """Whether the frame waited for no batch and no inference in the cloud: the camera made the mask."""
        return self.batch_us == self.infer_us == 0


class MaskPacket(Struct, frozen=True):
    """A label map ``(H, W)`` uint8 with per-class areas ``(classes,)`` uint32 and what made it.

    ``further`` are the frame's other outputs. They are no part of these bytes: each has a field of its own beside them.
    """

    bundle_id: int
    identity: FrameIdentity
    capture_ms: int
    level: int
    feature_bytes: int
    labels: NDArray[np.uint8]
    areas: NDArray[np.uint32]
    timings: Timings = Timings()
    further: tuple[OutputPacket, ...] = ()

    @classmethod
    def parse(cls, data: bytes, tables: LabelTableSource = general_tables_alone) -> MaskPacket:
        """Read a mask packet, whatever the bytes; inflates at most ``height * width`` bytes.

        Raises:
            LabelTablesMissing: it is small, and ``tables`` has not those that it was packed with.
            RecordError: the bytes are no mask packet; the message says why.
        """
        if not _HEAD.size + _CRC.size <= len(data) <= MAX_MASK_BYTES:
            raise RecordError(f"a mask packet of {len(data)} bytes is shorter than its header or beyond the limit")
        if data[0] != SCHEMA_VERSION:
            raise RecordError(f"mask schema version {data[0]}; this build speaks {SCHEMA_VERSION}: upgrade it first")
        if zlib.crc32(memoryview(data)[: -_CRC.size]) != _CRC.unpack_from(data, len(data) - _CRC.size)[0]:
            raise RecordError("a mask packet's CRC-32 does not match: changed on the way")
        (_, packing, classes, level, bundle_id, epoch, sequence, time_low, time_high, height, width, reserved,
         feature_bytes, *timings) = _HEAD.unpack_from(data)  # fmt: skip
        if reserved:
            raise RecordError(f"a mask packet's reserved field is {reserved:#06x}, not 0")
        _check_size(height, width)
        areas_end = _HEAD.size + 4 * classes
        if areas_end > len(data) - _CRC.size:
            raise RecordError(f"a mask packet of {len(data)} bytes has no room for {classes} areas")
        packed = data[areas_end : -_CRC.size]
        if packing == SMALL:
            labels = unpack_small(packed, height, width, classes, tables)
        else:
            labels = _unpack(packed, packing, height, width)
        if int(labels.max()) >= classes:
            raise RecordError(f"a mask has label {int(labels.max())}, its packet names {classes} classes")
        return cls(
            bundle_id=bundle_id,
            identity=FrameIdentity(epoch, sequence),
            capture_ms=time_low | time_high << 32,
            level=level,
            feature_bytes=feature_bytes,
            labels=labels,
            areas=np.frombuffer(data[_HEAD.size : areas_end], dtype="<u4").astype(np.uint32),
            timings=Timings(*timings),
        )

    @property
    def outputs(self) -> tuple[OutputValue, ...]:
        """The frame's outputs, the label map first; classes are called by their numbers."""
        height, width = self.labels.shape
        names = tuple(map(str, range(len(self.areas))))
        first = OutputValue(labels_output(height, width, names), self.labels)
        return (first, *(output.value for output in self.further))

    def output(self, name: str) -> OutputValue | None:
        """The output of that name; ``None`` where the frame has none. The label map is ``labels``.

        Example:
            >>> for mask in subscribe("cam-1"):
            ...     if isinstance(mask, MaskPacket) and (found := mask.output("cityscapes")):
            ...         print(found.values.shape)
        """
        return next((each for each in self.outputs if each.output.name == name), None)

    @property
    def objects(self) -> Objects | None:
        """What the camera outlined of what `narrows prompts` points at; ``None`` where it looked at none in this frame.

        Example:
            >>> for mask in subscribe("cam-1"):
            ...     if isinstance(mask, MaskPacket) and (found := mask.objects):
            ...         print([(each.prompt, each.mask is None) for each in found.masks])
        """
        return objects_among(self.further)

    def to_bytes(self) -> bytes:
        """Serialise; the label map is packed losslessly."""
        return seal_mask(self, pack_labels(self.labels))


def label_tables_of(data: bytes) -> int | None:
    """The id of the label tables that a mask packet needs, told before it is parsed; ``None``: it needs none."""
    if len(data) < _HEAD.size or data[:2] != bytes((SCHEMA_VERSION, SMALL)):
        return None
    with suppress(RecordError):
        return table_id_of(data[_HEAD.size + 4 * data[2] : -_CRC.size])
    return None


def seal_mask(mask: MaskPacket, packed: bytes, packing: int = DEFLATE) -> bytes:
    """The packet around an already packed label map: timings may be measured after the packing.

    Raises:
        RecordError: a field is out of its range.
    """
    height, width = mask.labels.shape
    _check_size(height, width)
    timings = mask.timings
    spans = (timings.redis_us, timings.decode_us, timings.batch_us, timings.infer_us, timings.pack_us)
    try:
        head = _HEAD.pack(
            SCHEMA_VERSION,
            packing,
            len(mask.areas),
            mask.level,
            mask.bundle_id,
            mask.identity.epoch,
            mask.identity.sequence,
            mask.capture_ms & 0xFFFFFFFF,
            mask.capture_ms >> 32,
            height,
            width,
            0,
            mask.feature_bytes,
            *(spans if min(spans) >= 0 and max(spans) <= _MOST_US else (min(max(0, span), _MOST_US) for span in spans)),
        )
    except struct.error as error:
        raise RecordError(f"a mask field is out of its range: {error}") from None
    body = b"".join((head, mask.areas.astype("<u4").tobytes(), packed))
    return body + _CRC.pack(zlib.crc32(body))


def class_areas(labels: NDArray[np.uint8], classes: int) -> NDArray[np.uint32]:
    """Pixels of each class ``(classes,)`` uint32."""
    if classes > _MANY_CLASSES:
        return np.bincount(labels.reshape(-1), minlength=classes)[:classes].astype(np.uint32)
    return np.array([np.count_nonzero(labels == label) for label in range(classes)], dtype=np.uint32)


def _check_size(height: int, width: int) -> None:
    if not size_fits(height, width):
        raise RecordError(f"a mask of {height} x {width}: sides are 1 to {MAX_SIDE}, pixels at most {MAX_PIXELS}")


def _unpack(payload: bytes, packing: int, height: int, width: int) -> NDArray[np.uint8]:
    if packing == DEFLATE:
        return unpack_labels(payload, height, width)
    if packing != _RAW:
        raise RecordError(f"mask packing {packing} is unknown to this build")
    if len(payload) != height * width:
        raise RecordError(f"a mask of {height} x {width} unpacked to {len(payload)} bytes")
    return np.frombuffer(payload, dtype=np.uint8).reshape(height, width).copy()
