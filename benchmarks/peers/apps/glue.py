"""What every peer needs of Narrows' library: from a packet to symbols, and from a label map to a mask packet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols
from narrows.contract.codec.masks import pack_and_count
from narrows.contract.wire import FeaturePacket
from narrows.contract.wire.mask import DEFLATE, MaskPacket, seal_mask


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet and its symbols ``(C, h, w)`` int8."""

    packet: FeaturePacket
    symbols: NDArray[np.int8]


class Codec:
    """Reads packets of one bundle and writes mask packets of it."""

    def __init__(self, folder: str | Path) -> None:
        self._bundle = Bundle.open(Path(folder))

    def read(self, body: bytes) -> Frame:
        """Parse, check and decode a packet."""
        packet = FeaturePacket.parse(body)
        symbols = decode_symbols(packet.payload, packet.shape.as_tuple(), self._bundle.tables, packet.level)
        return Frame(packet, symbols)

    def mask(self, frame: Frame, labels: NDArray[np.uint8]) -> bytes:
        """The mask packet of a frame's label map ``(H, W)`` uint8."""
        packet = frame.packet
        packed, areas = pack_and_count(np.ascontiguousarray(labels), len(self._bundle.manifest.classes))
        mask = MaskPacket(
            bundle_id=packet.bundle_id,
            identity=packet.identity,
            capture_ms=packet.capture_ms,
            level=packet.level,
            feature_bytes=len(packet.payload),
            labels=labels,
            areas=areas,
        )
        return seal_mask(mask, packed, DEFLATE)
