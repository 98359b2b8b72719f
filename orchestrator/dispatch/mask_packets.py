"""From a frame's label map to the packet that subscribers read."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec.masks import pack_and_count
from narrows.contract.wire.frame_packet import FrameHead
from narrows.contract.wire.mask import MaskPacket, Timings, seal_mask


@dataclass(frozen=True, slots=True)
class MaskToPack:
    """A frame's label map ``(H, W)`` uint8, what made it, and where its time went so far, seconds."""

    head: FrameHead
    bundle: Bundle
    level: int
    packet_bytes: int
    labels: NDArray[np.uint8]
    redis_s: float
    decode_s: float
    batch_s: float
    infer_s: float


def pack_mask(mask: MaskToPack) -> tuple[bytes, float]:
    """The mask packet, and how many seconds the packing took."""
    begun_s = time.monotonic()
    packed, areas = pack_and_count(mask.labels, len(mask.bundle.manifest.classes))
    pack_s = time.monotonic() - begun_s
    spans_s = (mask.redis_s, mask.decode_s, mask.batch_s, mask.infer_s, pack_s)
    packet = MaskPacket(
        bundle_id=mask.bundle.id,
        identity=mask.head.identity,
        capture_ms=mask.head.capture_ms,
        level=mask.level,
        feature_bytes=mask.packet_bytes,
        labels=mask.labels,
        areas=areas,
        timings=Timings(*(int(max(0.0, span) * 1e6) for span in spans_s)),
    )
    return seal_mask(packet, packed), pack_s
