"""A network with the interface of ``narrows promptable export`` that outlines what is bright: the answer is known.

Written as the few protobuf fields that an ONNX file needs: no library that writes them is in a camera's environment.
"""

from __future__ import annotations

import struct
from pathlib import Path

from narrows.runtime.prompting.inputs import CHANNELS
from narrows.runtime.prompting.segmenter import INPUTS, LOGITS

SIZE = 32
_UINT8, _FLOAT = 2, 1


def write_bright_network(path: Path, size: int = SIZE) -> Path:
    """``logits = red - 127.5``."""
    weights = _tensor("weights", [1, CHANNELS, 1, 1], [1.0] + [0.0] * (CHANNELS - 1))
    bias = _tensor("bias", [1], [-127.5])
    cast = (
        _text(1, INPUTS)
        + _text(2, "pixels")
        + _text(4, "Cast")
        + _bytes(5, _text(1, "to") + _int(3, _FLOAT) + _int(20, 2))
    )
    conv = b"".join(_text(1, name) for name in ("pixels", "weights", "bias")) + _text(2, LOGITS) + _text(4, "Conv")
    graph = _bytes(1, cast) + _bytes(1, conv) + _text(2, "bright") + _bytes(5, weights) + _bytes(5, bias)
    graph += _bytes(11, _value(INPUTS, _UINT8, [1, CHANNELS, size, size])) + _bytes(
        12, _value(LOGITS, _FLOAT, [1, 1, size, size])
    )
    path.write_bytes(_int(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _int(2, 13)))
    return path


def _value(name: str, kind: int, shape: list[int]) -> bytes:
    sides = b"".join(_bytes(1, _int(1, side)) for side in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _int(1, kind) + _bytes(2, sides)))


def _tensor(name: str, shape: list[int], values: list[float]) -> bytes:
    raw = struct.pack(f"<{len(values)}f", *values)
    return b"".join(_int(1, side) for side in shape) + _int(2, _FLOAT) + _text(8, name) + _bytes(9, raw)


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
