"""OutputPacket v1: an output of a frame after the first, in a field of its entry. See ``docs/wire-format.md``.

::

     0  u8   schema version (1)             5  u8   dimensions (1 to 4)
     1  u8   kind, its place in KINDS       6  u16  classes (0: not named)
     2  u8   dtype, its place in DTYPES     8  u64  version of what made it
     3  u8   packing, its place among      16  u32  each dimension
             the kind's                     .  ...  payload: the values in that packing
     4  u8   reserved (0)                   .  u32  CRC-32 of all before

The field's name is ``o:`` and the output's name. Who does not know outputs reads the fields ``k`` and ``p`` as before.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from narrows.contract.errors import BundleError, RecordError
from narrows.contract.outputs import DTYPES, KINDS, Output, OutputValue, kind_of
from narrows.contract.outputs.labels.packing import MAX_PIXELS
from narrows.contract.outputs.objects import KIND as OBJECTS
from narrows.contract.outputs.objects import Objects

SCHEMA_VERSION = 1
OUTPUT_FIELD = b"o:"
MAX_OUTPUT_BYTES = 4 * MAX_PIXELS + (1 << 16)
MOST_DIMENSIONS = 4
_HEAD = struct.Struct("<BBBBBBHQ")
_DIMENSION, _CRC = struct.Struct("<I"), struct.Struct("<I")
_NAME = re.compile(rb"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class OutputPacket:
    """An output of one frame, and the version of what made it: 16 hexadecimal digits."""

    value: OutputValue
    version: str

    @property
    def field(self) -> bytes:
        """The name of its field in the frame's entry."""
        return OUTPUT_FIELD + self.value.output.name.encode()

    @classmethod
    def parse(cls, field: bytes, data: bytes) -> OutputPacket:
        """Read a field of an entry, whatever the bytes; unpacks at most as many as it declares.

        Raises:
            RecordError: they are no output packet, or of a kind that this build does not know.
        """
        name = field.removeprefix(OUTPUT_FIELD)
        if not field.startswith(OUTPUT_FIELD) or not _NAME.fullmatch(name):
            raise RecordError(f"{field[:80]!r} is no name of an output's field")
        if not _HEAD.size + _DIMENSION.size + _CRC.size <= len(data) <= MAX_OUTPUT_BYTES:
            raise RecordError(f"an output packet of {len(data)} bytes is shorter than its header or beyond the limit")
        if zlib.crc32(memoryview(data)[: -_CRC.size]) != _CRC.unpack_from(data, len(data) - _CRC.size)[0]:
            raise RecordError("an output packet's CRC-32 does not match: changed on the way")
        schema, kind, dtype, packing, reserved, dimensions, classes, version = _HEAD.unpack_from(data)
        if schema != SCHEMA_VERSION or reserved:
            raise RecordError(f"output schema version {schema}; this build speaks {SCHEMA_VERSION}: upgrade it first")
        begin = _HEAD.size + dimensions * _DIMENSION.size
        if not 1 <= dimensions <= MOST_DIMENSIONS or begin > len(data) - _CRC.size:
            raise RecordError(f"an output packet of {len(data)} bytes with {dimensions} dimensions")
        shape = struct.unpack_from(f"<{dimensions}I", data, _HEAD.size)
        output = _declared(name.decode(), kind, dtype, packing, shape, classes)
        return cls(kind_of(output).unpack(output, data[begin : -_CRC.size]), f"{version:016x}")

    def to_bytes(self) -> bytes:
        """Serialise; the values are packed losslessly."""
        output = self.value.output
        kind = kind_of(output)
        head = _HEAD.pack(
            SCHEMA_VERSION,
            list(KINDS).index(output.kind),
            DTYPES.index(output.dtype),
            kind.packings.index(output.packing),
            0,
            len(output.shape),
            len(output.classes),
            int(self.version, 16),
        )
        body = head + struct.pack(f"<{len(output.shape)}I", *output.shape) + kind.pack(self.value)
        return body + _CRC.pack(zlib.crc32(body))


def objects_among(further: Iterable[OutputPacket]) -> Objects | None:
    """What a camera outlined, among a frame's outputs; ``None`` where it looked at nothing in this frame."""
    for packet in further:
        if packet.value.output.kind == OBJECTS:
            return Objects.parse(packet.value.values.tobytes())
    return None


def _declared(name: str, kind: int, dtype: int, packing: int, shape: tuple[int, ...], classes: int) -> Output:
    """What a packet says of its output. It counts classes and does not name them; they are called by their numbers."""
    kinds = list(KINDS.values())
    if kind >= len(kinds) or dtype >= len(DTYPES) or packing >= len(kinds[kind].packings):
        raise RecordError(f"output {name} is of kind {kind}, dtype {dtype}, packing {packing}: unknown to this build")
    if not all(shape) or math.prod(shape) > MAX_PIXELS or classes > MAX_PIXELS:
        raise RecordError(f"output {name} of {shape}: at most {MAX_PIXELS} values, and none of no length")
    names = tuple(map(str, range(classes)))
    output = Output(name, kinds[kind].name, DTYPES[dtype], shape, kinds[kind].packings[packing], names)
    try:
        kinds[kind].check_declared(output)
    except BundleError as error:
        raise RecordError(str(error)) from None
    return output
