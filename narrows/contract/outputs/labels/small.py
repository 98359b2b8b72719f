"""``label-map``: a label map as the label coder packs it (``docs/label-coding.md``), behind the id of its tables.

A quarter of ``row-xor-deflate``'s bytes, for about half as much time again to pack.

::

    0  u64  id of the label tables     8  ...  the coder's payload
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import LabelTables, decode_labels, encode_labels, general_label_tables
from narrows.contract.codec.label_layout import MIN_LABELS
from narrows.contract.errors import FrameRefused, LabelTablesMissing, RecordError

_ID = struct.Struct("<Q")
LabelTableSource = Callable[[int], LabelTables]
"""The label tables of an id; raises ``LabelTablesMissing``."""


def pack_small(labels: NDArray[np.uint8], classes: int, tables: LabelTables) -> bytes:
    """Pack a label map ``(H, W)`` uint8 of labels below ``classes``."""
    return behind_id(tables.id, encode_labels(labels, max(classes, MIN_LABELS), tables))


def behind_id(table_id: int, payload: bytes) -> bytes:
    """What is packed, from a payload that the label coder wrote with these tables."""
    return _ID.pack(table_id) + payload


def table_id_of(data: bytes) -> int:
    """The id of the tables that a packed label map needs.

    Raises:
        RecordError: there is none.
    """
    if len(data) < _ID.size:
        raise RecordError(f"a small mask of {len(data)} bytes; the id of its label tables alone has {_ID.size}")
    return int(_ID.unpack_from(data)[0])


def unpack_small(data: bytes, height: int, width: int, classes: int, tables: LabelTableSource) -> NDArray[np.uint8]:
    """Read what :func:`pack_small` wrote; allocates ``height * width`` bytes.

    Raises:
        LabelTablesMissing: its tables are not to be had.
        RecordError: the bytes are no label map of this size and number of classes.
    """
    found = tables(table_id_of(data))
    try:
        return decode_labels(data[_ID.size :], (height, width), max(classes, MIN_LABELS), found)
    except FrameRefused as error:
        raise RecordError(f"a small mask cannot be unpacked: {error}") from None


def general_tables_alone(table_id: int) -> LabelTables:
    """The source of who has no Redis at hand: the general tables of this build.

    Raises:
        LabelTablesMissing: others are wanted.
    """
    general = general_label_tables()
    if table_id != general.id:
        raise LabelTablesMissing(
            f"a mask packed with label tables {table_id:016x}; this build has {general.id:016x} alone: read it through "
            "narrows.subscribe, which asks Redis for them, or give MaskPacket.parse a source of tables"
        )
    return general
