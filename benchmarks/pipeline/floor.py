"""What one frame costs in each piece of the path alone, in this process: the floor below which Python's part begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.pipeline.packets import Packets
from narrows.contract.codec import decode_symbols, symbol_digest
from narrows.contract.codec.masks import pack_and_count
from narrows.contract.wire.feature import FeaturePacket
from narrows.contract.wire.mask import MaskPacket, seal_mask

_ROUNDS = 7


def floor_ms(packets: Packets, labels: NDArray[np.uint8]) -> dict[str, float]:
    """Milliseconds a frame of each piece; the best of several rounds over all frames, for others share the machine."""
    bundle, level = packets.bundle, packets.level
    bodies = [packet.to_bytes() for packet in packets.packets]
    classes = len(bundle.manifest.classes)
    packed = [pack_and_count(each, classes) for each in labels]
    packet = packets.packets[0]
    masks = [
        MaskPacket(bundle.id, packet.identity, 0, level, len(bodies[0]), each, areas)
        for each, (_, areas) in zip(labels, packed, strict=True)
    ]
    shape = packet.shape.as_tuple()
    slot = np.empty_like(packets.symbols[0])
    count = len(bodies)
    return {
        "parse the packet": _best_ms(lambda i: FeaturePacket.parse(bodies[i]), count),
        "decode the symbols": _best_ms(
            lambda i: decode_symbols(packets.packets[i].payload, shape, bundle.tables, level), count
        ),
        "digest of the symbols": _best_ms(lambda i: symbol_digest(packets.symbols[i]), count),
        "symbols into the slot": _best_ms(lambda i: np.copyto(slot, packets.symbols[i]), count),
        "label map out of the slot": _best_ms(lambda i: labels[i].copy(), count),
        "pack the label map, count its areas": _best_ms(lambda i: pack_and_count(labels[i], classes), count),
        "seal the mask": _best_ms(lambda i: seal_mask(masks[i], packed[i][0]), count),
    }


def _best_ms(work: Callable[[int], object], count: int) -> float:
    best_s = float("inf")
    for _ in range(_ROUNDS):
        begun_s = time.perf_counter()
        for i in range(count):
            work(i)
        best_s = min(best_s, (time.perf_counter() - begun_s) / count)
    return 1000 * best_s
