"""The plan of one cut: how its tensors are quantised and coded at each level, as MessagePack.

::

    [ level, … ]      level = [ tensor, … ]      in the order of the manifest
    tensor = { step: f4 of each channel, shift, least, most: i4 of each channel, low_bits, largest, tables }

Numbers of channels lie as little-endian bytes; tables are those of ``docs/symbol-coding.md``, of one level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from narrows.contract.codec import CodingTables
from narrows.contract.codec.tensor_coder import MOST_BITS, TensorCoder
from narrows.contract.codec.tensor_quantiser import Quantiser, Symbols, as_dtype, plane_shape, tensor_digest
from narrows.contract.errors import BundleError, FieldInvalid, PayloadUndecodable

MAX_PLAN_BYTES = 64 << 20
_FLOAT, _INTEGER = np.dtype("<f4"), np.dtype("<i4")


@dataclass(frozen=True, eq=False)
class TensorPlan:
    """One tensor at one level: how it becomes symbols, and how those become bytes."""

    quantiser: Quantiser
    coder: TensorCoder

    def encode(self, tensor: NDArray[Any]) -> tuple[bytes, int]:
        """The payload and the digest of one picture's tensor, with or without its batch of 1."""
        symbols = self.quantiser.symbols(self.quantiser.planes(tensor))
        return self.coder.encode(symbols), tensor_digest(symbols)

    def decode(self, payload: bytes, shape: Sequence[int]) -> Symbols:
        """The symbols of a payload, in the planes of a tensor of this shape, int32.

        Raises:
            PayloadUndecodable: it is no tensor of this shape, or a symbol lies beyond its channel's range.
        """
        try:
            symbols = self.coder.decode(payload, plane_shape(shape, len(self.quantiser.step)))
        except FieldInvalid as error:
            raise PayloadUndecodable(str(error)) from None
        least, most = (bound[:, None, None] for bound in self.quantiser.bounds)
        if (symbols < least).any() or (symbols > most).any():
            raise PayloadUndecodable("a symbol beyond its channel's range")
        return symbols

    def values(self, symbols: Symbols, shape: Sequence[int], dtype: str) -> NDArray[Any]:
        """What the tail computes with, in the tensor's shape and dtype."""
        return as_dtype(self.quantiser.values(symbols).reshape(tuple(shape)), np.dtype(dtype))


class _Packed(Struct, frozen=True, forbid_unknown_fields=True):
    step: bytes
    shift: bytes
    least: bytes
    most: bytes
    low_bits: Annotated[int, Meta(ge=0, lt=MOST_BITS)]
    largest: Annotated[int, Meta(ge=0, lt=1 << MOST_BITS)]
    tables: bytes


def pack_plan(levels: Sequence[Sequence[TensorPlan]]) -> bytes:
    """The bytes of a cut's plan."""
    return msgspec.msgpack.encode([[_packed(plan) for plan in level] for level in levels])


def read_plan(data: bytes, bits: Sequence[int], shapes: Sequence[Sequence[int]]) -> tuple[tuple[TensorPlan, ...], ...]:
    """The plan of a cut, by level and tensor.

    Args:
        data: the file.
        bits: of each level, as the manifest declares them.
        shapes: of each tensor, with or without its batch of 1.

    Raises:
        BundleError: the bytes are no plan, or not of this cut.
    """
    if len(data) > MAX_PLAN_BYTES:
        raise BundleError(f"{len(data)} bytes; a plan has at most {MAX_PLAN_BYTES}")
    try:
        levels = msgspec.msgpack.decode(data, type=tuple[tuple[_Packed, ...], ...])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BundleError(f"no plan: {error}") from None
    if len(levels) != len(bits) or any(len(level) != len(shapes) for level in levels):
        raise BundleError(f"a plan of {len(levels)} levels; the manifest has {len(bits)}, of {len(shapes)} tensors")
    return tuple(
        tuple(_read(packed, width, shape) for packed, shape in zip(level, shapes, strict=True))
        for level, width in zip(levels, bits, strict=True)
    )


def _packed(plan: TensorPlan) -> _Packed:
    quantiser, coder = plan.quantiser, plan.coder
    least, most = quantiser.bounds
    return _Packed(
        step=quantiser.step.astype(_FLOAT).tobytes(),
        shift=quantiser.shift.astype(_INTEGER).tobytes(),
        least=least.astype(_INTEGER).tobytes(),
        most=most.astype(_INTEGER).tobytes(),
        low_bits=coder.low_bits,
        largest=coder.most,
        tables=coder.tables.to_bytes(),
    )


def _read(packed: _Packed, bits: int, of: Sequence[int]) -> TensorPlan:
    channels = plane_shape(of, len(packed.step) // 4)[0]
    fields = (packed.step, packed.shift, packed.least, packed.most)
    if any(len(field) != 4 * channels for field in fields):
        raise BundleError(f"a plan of {[len(field) // 4 for field in fields]} channels; the tensor has {channels}")
    step = np.frombuffer(packed.step, _FLOAT).astype(np.float32)
    shift, least, most = (np.frombuffer(field, _INTEGER).astype(np.int32) for field in fields[1:])
    if not (np.isfinite(step).all() and (step > 0).all()):
        raise BundleError("a plan has a step that is no positive number")
    bound = 1 << MOST_BITS
    if (least > most).any() or max(np.abs(each.astype(np.int64)).max() for each in (shift, least, most)) >= bound:
        raise BundleError("a plan has a channel whose values have no range, or one beyond 16 bits")
    least, most = (np.clip(each, -packed.largest, packed.largest) for each in (least, most))  # what its coder takes
    tables = CodingTables.from_bytes(packed.tables)
    if (tables.levels, tables.channels) != (1, channels):
        raise BundleError(f"tables for {tables.levels} levels of {tables.channels} channels; the tensor has {channels}")
    return TensorPlan(Quantiser(bits, step, shift, least, most), TensorCoder(tables, packed.low_bits, packed.largest))
