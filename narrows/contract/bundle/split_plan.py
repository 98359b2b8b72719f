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

from narrows.contract.codec import CodingTables, layout
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
        planes = tensor.reshape(plane_shape(tensor.shape)).astype(np.float32)
        symbols = self.quantiser.symbols(planes)
        return self.coder.encode(symbols), tensor_digest(symbols)

    def decode(self, payload: bytes, shape: Sequence[int]) -> Symbols:
        """The symbols of a payload, ``plane_shape(shape)`` int32.

        Raises:
            PayloadUndecodable: it is no tensor of this shape, or a symbol lies beyond its channel's range.
        """
        try:
            symbols = self.coder.decode(payload, plane_shape(shape))
        except FieldInvalid as error:
            raise PayloadUndecodable(str(error)) from None
        least, most = self.quantiser.least[:, None, None], self.quantiser.most[:, None, None]
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


def read_plan(data: bytes, bits: Sequence[int], channels: Sequence[int]) -> tuple[tuple[TensorPlan, ...], ...]:
    """The plan of a cut, by level and tensor.

    Args:
        data: the file.
        bits: of each level, as the manifest declares them.
        channels: of each tensor, as it is coded.

    Raises:
        BundleError: the bytes are no plan, or not of this cut.
    """
    if len(data) > MAX_PLAN_BYTES:
        raise BundleError(f"{len(data)} bytes; a plan has at most {MAX_PLAN_BYTES}")
    try:
        levels = msgspec.msgpack.decode(data, type=tuple[tuple[_Packed, ...], ...])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BundleError(f"no plan: {error}") from None
    if len(levels) != len(bits) or any(len(level) != len(channels) for level in levels):
        raise BundleError(f"a plan of {len(levels)} levels; the manifest has {len(bits)}, of {len(channels)} tensors")
    return tuple(
        tuple(_read(packed, width, number) for packed, number in zip(level, channels, strict=True))
        for level, width in zip(levels, bits, strict=True)
    )


def _packed(plan: TensorPlan) -> _Packed:
    quantiser, coder = plan.quantiser, plan.coder
    return _Packed(
        step=quantiser.step.astype(_FLOAT).tobytes(),
        shift=quantiser.shift.astype(_INTEGER).tobytes(),
        least=quantiser.least.astype(_INTEGER).tobytes(),
        most=quantiser.most.astype(_INTEGER).tobytes(),
        low_bits=coder.low_bits,
        largest=coder.most,
        tables=coder.tables.to_bytes(),
    )


def _read(packed: _Packed, bits: int, channels: int) -> TensorPlan:
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
    tables = CodingTables.from_bytes(packed.tables)
    if (tables.levels, tables.channels) != (1, channels):
        raise BundleError(f"tables for {tables.levels} levels of {tables.channels} channels; the tensor has {channels}")
    if (packed.largest + (1 << packed.low_bits) - 1) >> packed.low_bits > layout.MAX_SYMBOL:
        raise BundleError(f"{packed.low_bits} low bits; magnitudes up to {packed.largest} need more")
    return TensorPlan(Quantiser(bits, step, shift, least, most), TensorCoder(tables, packed.low_bits, packed.largest))
