"""What crosses at a cut of a split network: checked against its plan, decoded, and given to a tail.

::

    sections ─ cut, tail, shapes, level, precision ─► payloads ─ rANS ─► symbols ─ digest ─► dequantised ─► tail
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from narrows.contract.bundle import SplitBundle, Tail
from narrows.contract.bundle.split_manifest import CutTensor, tensor_name
from narrows.contract.bundle.split_plan import TensorPlan
from narrows.contract.codec.tensor_quantiser import tensor_digest
from narrows.contract.errors import (
    PayloadUndecodable,
    PrecisionUnknown,
    SectionsUnsupported,
    ShapeMismatch,
    TailNotLoaded,
    TensorsPredicted,
)
from narrows.contract.wire.feature import PacketKind
from narrows.contract.wire.frame_packet import FramePacket, Section, SectionLayout, Tensor
from orchestrator.dispatch.digests import check_digest
from orchestrator.dispatch.workers import Workers
from orchestrator.inference.contract import Inputs

_SYMBOLS_A_VALUE = 6
"""What a tensor's value takes, in symbols of a latent: 131,072 dense ones with their low bits take 5 to 7 ms."""


@dataclass(frozen=True, slots=True)
class CodedTensors:
    """What a packet holds of a cut, checked against its plan, so that its size is no surprise."""

    tail: Tail
    level: int
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Crossed:
    """What a tail takes of one frame."""

    inputs: Inputs


def tensors_of(packet: FramePacket, count: int, bundle: SplitBundle) -> CodedTensors:
    """What the first ``count`` sections of a packet hold that a split network's bundle decodes: tensors alone.

    Pure; refused by name before any symbol is decoded.

    Raises:
        SectionsUnsupported: sections of other kinds, or that depend on one another.
        TensorsPredicted: a P packet.
        ShapeMismatch: a cut that the bundle does not have, or other tensors than its.
        PrecisionUnknown: a level or a precision that the plan does not have.
        TailNotLoaded: the tail of the cut is not served here.
    """
    context = packet.head.context
    layouts = context.sections[:count]
    others = any(not isinstance(each.content, Tensor) for each in layouts)
    if others or any(each.depends_on for each in context.sections):
        named = ", ".join(type(layout.content).__name__ for layout in context.sections)
        raise SectionsUnsupported(
            f"sections {named}; of a split network tensors are decoded, each by itself, and objects behind these"
        )
    if packet.head.kind is PacketKind.PREDICTED:
        raise TensorsPredicted("tensors in a P packet: they are coded alone, send them as K")
    cuts = bundle.manifest.cuts
    if context.cut >= len(cuts):
        raise ShapeMismatch(f"cut {context.cut}; bundle {bundle.hex_id} has cuts 0 to {len(cuts) - 1}")
    _check_tensors(layouts, cuts[context.cut].tensors)
    level = _level(layouts, [each.precision_bits for each in cuts[context.cut].levels])
    for tail in bundle.tails:
        if tail.number == context.cut:
            return CodedTensors(tail, level, packet.sections[:count])
    loaded = ", ".join(str(tail.number) for tail in bundle.tails)
    raise TailNotLoaded(f"cut {context.cut} of bundle {bundle.hex_id}; loaded here are the tails of cuts {loaded}")


async def decode_tensors(coded: CodedTensors, workers: Workers) -> Crossed:
    """What the tail takes. Sizes are the plan's, so no payload decides how much is allocated.

    Raises:
        PayloadUndecodable: a payload is no tensor of this cut.
        DigestMismatch: it is another than the camera coded.
    """
    values = sum(math.prod(tensor.shape) for tensor in coded.tail.cut.tensors)
    return await workers.on_symbols(_SYMBOLS_A_VALUE * values, partial(_decode_checked, coded))


def _check_tensors(layouts: tuple[SectionLayout, ...], tensors: tuple[CutTensor, ...]) -> None:
    found = [(layout.id, layout.content.shape) for layout in layouts if isinstance(layout.content, Tensor)]
    wanted = [(place, tensor.shape) for place, tensor in enumerate(tensors)]
    if found != wanted:
        raise ShapeMismatch(f"tensors {found}; at this cut cross {wanted}")


def _level(layouts: tuple[SectionLayout, ...], bits: list[int]) -> int:
    named = {(layout.level, layout.content.precision_bits) for layout in layouts if isinstance(layout.content, Tensor)}
    level, precision_bits = min(named)
    if len(named) > 1 or level >= len(bits) or bits[level] != precision_bits:
        raise PrecisionUnknown(f"levels and bits {sorted(named)}; the plan's levels have {bits}, one for all tensors")
    return level


def _decode_checked(coded: CodedTensors) -> Crossed:
    plans = coded.tail.bundle.plans[coded.tail.number][coded.level]
    inputs = {}
    for place, (tensor, plan, section) in enumerate(zip(coded.tail.cut.tensors, plans, coded.sections, strict=True)):
        inputs[tensor_name(place)] = _values(tensor, plan, section)
    return Crossed(inputs)


def _values(tensor: CutTensor, plan: TensorPlan, section: Section) -> NDArray[Any]:
    try:
        symbols = plan.decode(section.payload, tensor.shape)
    except PayloadUndecodable as error:
        raise PayloadUndecodable(f"tensor {tensor.name}: {error}") from None
    check_digest(section, tensor_digest(symbols), f"tensor {tensor.name}")
    return plan.values(symbols, tensor.shape, tensor.dtype)
