"""A label map's way into a payload and back, without loss. Specified in ``docs/label-coding.md``.

::

    labels (H, W) ─ encode_labels ─► payload ─ decode_labels ─► the same labels
                        ▲                           ▲
                        └────── LabelTables ────────┘   shape and number of labels travel beside the payload

Example:
    >>> tables = general_label_tables()
    >>> payload = encode_labels(mask, 11, tables)
    >>> decode_labels(payload, mask.shape, 11, tables)
"""

from __future__ import annotations

import zlib

import numpy as np

from narrows.contract.codec import label_layout as layout
from narrows.contract.codec.label_kernel import Labels
from narrows.contract.codec.label_tables import LabelTables
from narrows.contract.errors import FieldInvalid, PayloadUndecodable, ShapeBeyondLimits


def encode_labels(labels: Labels, many: int, tables: LabelTables) -> bytes:
    """The payload of a map ``(H, W)`` uint8 of labels below ``many``. Never empty.

    Raises:
        FieldInvalid: the map is of another type, or has a label that is not below ``many``.
        ShapeBeyondLimits: it is empty or too large.
    """
    check_map(labels, many)
    return tables.native.encode(np.ascontiguousarray(labels), many)


def decode_labels(
    payload: bytes, shape: tuple[int, int], many: int, tables: LabelTables, max_pixels: int = layout.MAX_PIXELS
) -> Labels:
    """The map ``shape`` (H, W) uint8 of labels below ``many`` that a payload codes.

    Shape and number of labels are checked before anything is allocated. A map of one label is a few dozen bytes
    whatever its size: a caller that expects small maps says so with ``max_pixels``.

    Raises:
        ShapeBeyondLimits: the shape is empty, too large, or of more than ``max_pixels``.
        FieldInvalid: ``many`` is not 2 to 255.
        PayloadUndecodable: the payload ran out, ended in the wrong state, left bytes over, or names what is not there.
    """
    _check_many(many)
    _check_shape(shape, max_pixels)
    labels = np.empty(shape, dtype=np.uint8)
    if (wrong := tables.native.decode(payload, labels, many)) is not None:
        raise PayloadUndecodable(f"a label map's payload of {len(payload)} bytes for shape {shape} {wrong}")
    return labels


def label_digest(labels: Labels) -> int:
    """CRC-32 of the labels in C order: what a section's digest is the lower bits of."""
    return zlib.crc32(np.ascontiguousarray(labels).data)


def check_map(labels: Labels, many: int) -> None:
    """Whether a map can be coded.

    Raises:
        FieldInvalid, ShapeBeyondLimits: it cannot.
    """
    _check_many(many)
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise FieldInvalid(f"a label map of {labels.dtype} {labels.shape}; uint8 of (height, width) is wanted")
    _check_shape(labels.shape, layout.MAX_PIXELS)
    if (most := int(labels.max())) >= many:
        raise FieldInvalid(f"a label map with label {most}; it is to have {many} labels")


def _check_many(many: int) -> None:
    if not layout.MIN_LABELS <= many <= layout.MAX_LABELS:
        raise FieldInvalid(f"a label map of {many} labels; it has {layout.MIN_LABELS} to {layout.MAX_LABELS}")


def _check_shape(shape: tuple[int, ...], max_pixels: int) -> None:
    height, width = shape
    if not (0 < height <= layout.MAX_SIDE and 0 < width <= layout.MAX_SIDE and height * width <= max_pixels):
        raise ShapeBeyondLimits(
            f"a label map of {height} x {width}: sides are 1 to {layout.MAX_SIDE}, pixels at most {max_pixels} here"
        )
