"""Label maps on the uplink: what a camera that does everything itself would send, packed losslessly."""

from __future__ import annotations

import io
import lzma
import struct
from collections.abc import Callable, Mapping

import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.codec import encode_labels, general_label_tables
from narrows.contract.outputs.labels.packing import pack_labels

Labels = NDArray[np.uint8]
_WEBP_CONTAINER = 20
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def larger(labels: Labels, factor: int, shape: tuple[int, int]) -> Labels:
    """Each label spread over its block again, cut to ``shape``."""
    return np.repeat(np.repeat(labels, factor, axis=0), factor, axis=1)[: shape[0], : shape[1]]


def _webp(labels: Labels) -> int:
    """As a palette of greys far apart, which WebP's colour index transform packs."""
    buffer = io.BytesIO()
    Image.fromarray(labels).convert("RGB").save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return buffer.tell() - _WEBP_CONTAINER


def _png(labels: Labels) -> int:
    """The IDAT chunks' data."""
    buffer = io.BytesIO()
    image = Image.fromarray(labels).convert("P")
    image.save(buffer, "PNG", optimize=True, bits=4 if labels.max() < 16 else 8)
    data, at, counted = buffer.getvalue(), 8, 0
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        counted += length if kind == b"IDAT" else 0
        at += 12 + length
    return counted


def _zstd(labels: Labels) -> int:
    return len(zstandard.ZstdCompressor(level=22, write_content_size=False).compress(labels.tobytes()))


def _lzma(labels: Labels) -> int:
    return len(lzma.compress(labels.tobytes(), format=lzma.FORMAT_RAW, filters=_LZMA))


CODERS: Mapping[str, Callable[[Labels], int]] = {
    "WebP lossless": _webp,
    "PNG": _png,
    "our mask packing": lambda labels: len(pack_labels(labels)),
    "zstd -22": _zstd,
    "LZMA2": _lzma,
}
"""Payload bytes of a label map by general coder, containers left out."""


def edge_coders(classes: int) -> Mapping[str, Callable[[Labels], int]]:
    """What a camera that makes masks may send them with: the label-map coder of this project beside general ones."""
    tables = general_label_tables()
    return {**CODERS, "label-map coder": lambda labels: len(encode_labels(labels, classes, tables))}
