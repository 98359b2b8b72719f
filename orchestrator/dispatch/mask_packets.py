"""From a frame's outputs to the packets that subscribers read."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from narrows.contract.bundle import AnyBundle
from narrows.contract.codec.masks import pack_and_count
from narrows.contract.outputs.labels.small import behind_id, pack_small
from narrows.contract.wire.frame_packet import FrameHead
from narrows.contract.wire.mask import DEFLATE, SMALL, MaskPacket, Timings, class_areas, seal_mask
from narrows.contract.wire.output_packet import OutputPacket
from narrows.contract.wire.result import ResultPacket
from orchestrator.dispatch.endings import OutputFields
from orchestrator.dispatch.label_table_records import tables_of
from orchestrator.dispatch.sections import CodedMask

_PIXELS_A_FLOAT = 40
"""Four bytes that hardly repeat: half a million take 41 ms to deflate, as many pixels of a label map one."""


class MaskToPack(Struct, frozen=True):
    """A frame's label map ``(H, W)`` uint8, what made it, and where its time went so far, seconds.

    Attributes:
        labels: ``None`` where its bundle's first output is no label map.
        small: packed by the label coder, not by deflate.
        coded: the map as its camera coded it, which is small already.
    """

    head: FrameHead
    bundle: AnyBundle
    level: int
    packet_bytes: int
    labels: NDArray[np.uint8] | None
    small: bool
    coded: CodedMask | None
    redis_s: float
    decode_s: float
    batch_s: float
    infer_s: float


def packing_pixels(labels: NDArray[np.uint8] | None, further: Sequence[OutputPacket]) -> int:
    """How much :func:`pack_outputs` has to do, as so many pixels of a label map."""
    values = (output.value.values for output in further)
    return (0 if labels is None else labels.size) + sum(
        each.size * (_PIXELS_A_FLOAT if each.dtype.kind == "f" else 1) for each in values
    )


def pack_outputs(mask: MaskToPack, further: Sequence[OutputPacket]) -> tuple[bytes, OutputFields, float]:
    """The mask or result packet, a field and its bytes for each other output, and how many seconds all of it took."""
    begun_s = time.monotonic()
    fields = tuple((output.field, output.to_bytes()) for output in further)
    further_s = time.monotonic() - begun_s
    if mask.labels is None:
        return _result(mask, further_s).to_bytes(), fields, further_s
    body, pack_s = _pack_mask(mask, mask.labels)
    return body, fields, further_s + pack_s


def _result(mask: MaskToPack, pack_s: float) -> ResultPacket:
    head = mask.head
    return ResultPacket(
        bundle_id=mask.bundle.id,
        identity=head.identity,
        capture_ms=head.capture_ms,
        level=mask.level,
        cut=head.context.cut,
        feature_bytes=mask.packet_bytes,
        timings=_timings(mask, pack_s),
    )


def _timings(mask: MaskToPack, pack_s: float) -> Timings:
    spans_s = (mask.redis_s, mask.decode_s, mask.batch_s, mask.infer_s, pack_s)
    return Timings(*[int(span * 1e6) for span in spans_s])


def _pack_mask(mask: MaskToPack, labels: NDArray[np.uint8]) -> tuple[bytes, float]:
    """The mask packet, and how many seconds the packing took."""
    begun_s = time.monotonic()
    classes = len(mask.bundle.manifest.classes)
    packed, areas = _pack_small(mask, labels) if mask.small else pack_and_count(labels, classes)
    pack_s = time.monotonic() - begun_s
    packet = MaskPacket(
        bundle_id=mask.bundle.id,
        identity=mask.head.identity,
        capture_ms=mask.head.capture_ms,
        level=mask.level,
        feature_bytes=mask.packet_bytes,
        labels=labels,
        areas=areas,
        timings=_timings(mask, pack_s),
    )
    return seal_mask(packet, packed, SMALL if mask.small else DEFLATE), pack_s


def _pack_small(mask: MaskToPack, labels: NDArray[np.uint8]) -> tuple[bytes, NDArray[np.uint32]]:
    classes = len(mask.bundle.manifest.classes)
    if mask.coded is not None:
        packed = behind_id(mask.coded.tables.id, mask.coded.section.payload)
    else:
        packed = pack_small(labels, classes, tables_of(mask.bundle))
    return packed, class_areas(labels, classes)
