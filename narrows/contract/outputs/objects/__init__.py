"""Objects: what a camera outlined of the things that an operator points at, a few dozen bytes each.

::

    count u8 | side of a mask u8 | source width u16 | source height u16
    each:  prompt u16 | version u32 | state u8 | window x i16, y i16, side u16 | bytes u16 | mask, by the label coder

A mask is the network's window of the source picture, two labels; a thing that is lost has none. All integers are
little-endian. These bytes are the payload of a section of a packet and, as they came, of an output's packet.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import decode_labels, encode_labels, general_label_tables
from narrows.contract.errors import BundleError, FrameRefused, InferenceFailed, RecordError
from narrows.contract.outputs.kind import OutputKind
from narrows.contract.outputs.output import Output, OutputValue

KIND = "objects"
PACKED = "object-masks"
MOST_PROMPTS = 16
"""Of one camera: more would each be looked at too seldom to be followed."""
MAX_SOURCE_SIDE = 16_384
"""Windows around what is in such a picture have coordinates of 16 bits."""
MAX_MASK_SIDE = 128
_MOST_MASK_BYTES = 4096
"""Twice what noise of that side takes."""
_HEAD, _EACH = struct.Struct("<BBHH"), struct.Struct("<HIBhhHH")
MOST_BYTES = _HEAD.size + MOST_PROMPTS * (_EACH.size + _MOST_MASK_BYTES)
_TRACKING, _LOST = 0, 1
_LABELS = 2


@dataclass(frozen=True, slots=True)
class ObjectMask:
    """One thing in one frame.

    Attributes:
        prompt, version: of the prompt that points at it.
        x, y, side: the square of the source picture that was looked at, pixels; it may reach beyond the picture.
        mask: ``(n, n)`` bool of that square; ``None``: the thing is lost.
    """

    prompt: int
    version: int
    x: int
    y: int
    side: int
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class Objects:
    """The things of one frame, in a source picture of ``width`` x ``height`` pixels; masks are ``(side, side)``."""

    width: int
    height: int
    side: int
    masks: tuple[ObjectMask, ...]

    def spread(self, found: ObjectMask, height: int, width: int) -> NDArray[np.bool_]:
        """A thing's mask over the whole picture at any size ``(height, width)``, that of its label map for instance."""
        whole = np.zeros((height, width), bool)
        if found.mask is not None:
            rows, inside_rows = _cells(found.y, found.side, self.height, height, self.side)
            columns, inside_columns = _cells(found.x, found.side, self.width, width, self.side)
            whole[np.ix_(inside_rows, inside_columns)] = found.mask[np.ix_(rows, columns)]
        return whole

    def to_bytes(self) -> bytes:
        """Serialise.

        Raises:
            RecordError: a field is out of its range.
        """
        try:
            parts = [_HEAD.pack(len(self.masks), self.side, self.width, self.height)]
            for each in self.masks:
                coded = b"" if each.mask is None else _coded(each.mask)
                state = _LOST if each.mask is None else _TRACKING
                parts += [
                    _EACH.pack(each.prompt, each.version, state, each.x, each.y, each.side, len(coded)),
                    coded,
                ]
        except struct.error as error:
            raise RecordError(f"an object's field is out of its range: {error}") from None
        return b"".join(parts)

    @classmethod
    def parse(cls, data: bytes) -> Objects:
        """Read objects, whatever the bytes.

        Raises:
            RecordError: they are none; the message says why.
        """
        if not _HEAD.size <= len(data) <= MOST_BYTES:
            raise RecordError(f"objects of {len(data)} bytes: {_HEAD.size} to {MOST_BYTES} are allowed")
        count, side, width, height = _HEAD.unpack_from(data)
        if count > MOST_PROMPTS or not 1 <= side <= MAX_MASK_SIDE:
            raise RecordError(
                f"{count} objects, masks of {side} pixels: at most {MOST_PROMPTS}, of 1 to {MAX_MASK_SIDE}"
            )
        if not (1 <= width <= MAX_SOURCE_SIDE and 1 <= height <= MAX_SOURCE_SIDE):
            raise RecordError(f"objects in a picture of {width} x {height}: sides are 1 to {MAX_SOURCE_SIDE}")
        masks, at = [], _HEAD.size
        for _ in range(count):
            found, at = _read(data, at, side)
            masks.append(found)
        if at != len(data):
            raise RecordError(f"objects of {len(data)} bytes end at {at}")
        if len({each.prompt for each in masks}) != count:
            raise RecordError("one prompt has two masks in a frame")
        return cls(width, height, side, tuple(masks))

    def digest(self) -> int:
        """CRC-32 of all masks' pixels, one after the other: what a section's digest is the lower bits of."""
        digest = 0
        for each in self.masks:
            if each.mask is not None:
                digest = zlib.crc32(np.ascontiguousarray(each.mask).data, digest)
        return digest


class ObjectMasks(OutputKind):
    """The bytes of :class:`Objects`, uint8 ``(n,)``: each frame has its own n. Cameras make them, no decoder does."""

    name = KIND
    dtypes = ("uint8",)
    packings = (PACKED,)

    def check_shape(self, output: Output) -> None:
        """As many bytes as objects have, and no classes."""
        if len(output.shape) != 1 or not _HEAD.size <= output.shape[0] <= MOST_BYTES or output.classes:
            raise BundleError(
                f"output {output.name}: objects are (n,), n {_HEAD.size} to {MOST_BYTES}, without classes"
            )

    def check_values(self, output: Output, values: NDArray[Any]) -> None:
        """Each frame's are objects."""
        try:
            for each in values:
                Objects.parse(each.tobytes())
        except RecordError as error:
            raise InferenceFailed(f"output {output.name}: {error}") from None

    def pack(self, value: OutputValue) -> bytes:
        """As they are."""
        return value.values.tobytes()

    def unpack(self, output: Output, data: bytes) -> OutputValue:
        """Read what :meth:`pack` wrote."""
        if len(data) != output.size_bytes():
            raise RecordError(f"output {output.name} of {output.shape[0]} bytes has {len(data)}")
        try:
            Objects.parse(data)
        except RecordError as error:
            raise RecordError(f"output {output.name}: {error}") from None
        return OutputValue(output, np.frombuffer(data, np.uint8))


def objects_value(packed: bytes) -> OutputValue:
    """A frame's output of objects that are serialised already."""
    return OutputValue(Output(KIND, KIND, "uint8", (len(packed),), PACKED), np.frombuffer(packed, np.uint8))


def _coded(mask: NDArray[np.bool_]) -> bytes:
    return encode_labels(np.ascontiguousarray(mask).view(np.uint8), _LABELS, general_label_tables())


def _read(data: bytes, at: int, side: int) -> tuple[ObjectMask, int]:
    begin = at + _EACH.size
    if begin > len(data):
        raise RecordError(f"objects of {len(data)} bytes: one goes on to {begin}")
    prompt, version, state, x, y, window, size = _EACH.unpack_from(data, at)
    coded, end = data[begin : begin + size], begin + size
    if end > len(data) or size > _MOST_MASK_BYTES or state not in (_TRACKING, _LOST) or not (prompt and window):
        raise RecordError(
            f"prompt {prompt}, state {state}, a window of {window} and {size} bytes at {begin} of {len(data)}"
        )
    if (state == _LOST) != (size == 0):
        raise RecordError(f"prompt {prompt}: a mask is there where it is not lost, and nowhere else")
    if state == _LOST:
        return ObjectMask(prompt, version, x, y, window, None), end
    try:
        labels = decode_labels(coded, (side, side), _LABELS, general_label_tables())
    except FrameRefused as error:
        raise RecordError(f"prompt {prompt}: {error}") from None
    return ObjectMask(prompt, version, x, y, window, labels.view(np.bool_)), end


def _cells(
    start: int, window: int, source: int, length: int, cells: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For the pixels of ``length`` whose centre is in the window: each one's cell of the mask, and where it is."""
    centres = (np.arange(length) + 0.5) * source / length
    places = np.floor((centres - start) * cells / window).astype(np.int64)
    inside = np.flatnonzero((places >= 0) & (places < cells))
    return places[inside], inside
