"""Small ONNX files without the package `onnx`, which the programs do without: protobuf's wire format, field by field.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FLOAT, UINT8 = 1, 2
OPSET = 17


@dataclass(frozen=True)
class Value:
    """An input or output; a side that is text is free."""

    name: str
    shape: Sequence[int | str]
    dtype: int = FLOAT


def node(operator: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> bytes:
    """A node of one output; attributes are whole numbers, or lists of them."""
    given = b"".join(_message(5, _attribute(name, value)) for name, value in attributes.items())
    named = b"".join(_text(1, name) for name in inputs)
    return named + _text(2, output) + _text(4, operator) + given


def model(nodes: Sequence[bytes], inputs: Sequence[Value], outputs: Sequence[Value]) -> bytes:
    """A file."""
    graph = b"".join(_message(1, each) for each in nodes) + _text(2, "g")
    graph += b"".join(_message(11, _value(each)) for each in inputs)
    graph += b"".join(_message(12, _value(each)) for each in outputs)
    return _number(1, 8) + _message(7, graph) + _message(8, _number(2, OPSET))


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, 7)


def _value(value: Value) -> bytes:
    sides = b"".join(_message(1, _text(2, s) if isinstance(s, str) else _number(1, s)) for s in value.shape)
    tensor = _number(1, value.dtype) + _message(2, sides)
    return _text(1, value.name) + _message(2, _message(1, tensor))


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _message(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*written, value))
