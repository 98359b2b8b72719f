"""From a latent to the camera's own mask, and from that to the sections of a packet.

::

    latent ─ quantise ─► symbols ─ camera decoder ─► labels ─ label coder ─► section ──────────┐
                            └─ symbol coder ─► section, where the frame is audited ──► first ──┴─► frame
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.coding import symbols_of
from edge_client.encode.sections import SectionedFrame
from edge_client.masks.camera_decoder import OnnxCameraDecoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import encode_labels, encode_symbols, general_label_tables, label_digest, symbol_digest
from narrows.contract.wire import FrameIdentity
from narrows.contract.wire.frame_packet import LabelMap, Latent, Section, SectionLayout
from narrows.contract.wire.frame_packet.section import DIGEST_BITS

OUTPUT = 0
"""A camera makes the output that is published first."""
_DIGEST_MASK = (1 << DIGEST_BITS) - 1


@dataclass(frozen=True, slots=True)
class CameraMask:
    """A mask as it was made here: the symbols ``(C, h, w)``, its labels ``(H, W)`` uint8, and their payload."""

    symbols: NDArray[np.int8]
    labels: NDArray[np.uint8]
    payload: bytes


class MaskCoder:
    """Makes masks at one scale, of latents at one rate level: the finest that is the camera's own, as none travels."""

    def __init__(self, bundle: Bundle, decoder: OnnxCameraDecoder, level: int, scale: int) -> None:
        self._bundle, self._decoder, self.level, self.scale = bundle, decoder, level, scale
        self._classes = len(bundle.manifest.outputs[OUTPUT].classes)
        self._tables = bundle.label_tables or general_label_tables()
        self._table_id = 0 if bundle.label_tables is None else bundle.label_tables.id

    def make(self, latent: NDArray[np.float32]) -> CameraMask:
        """The mask of a latent ``(C, h, w)`` float32."""
        symbols = symbols_of(self._bundle, latent, self.level)
        labels = self._decoder.labels(symbols, self.level, self.scale)
        return CameraMask(symbols, labels, encode_labels(labels, self._classes, self._tables))

    def frame(self, mask: CameraMask, identity: FrameIdentity, capture_ms: int, *, audited: bool) -> SectionedFrame:
        """The mask as a frame; one that is audited also carries what the cloud can make its own mask of."""
        height, width = mask.labels.shape
        layouts = [SectionLayout(LabelMap(height, width, self._classes, self._table_id), id=OUTPUT)]
        sections = [Section(label_digest(mask.labels) & _DIGEST_MASK, mask.payload)]
        if audited:
            layouts.insert(0, SectionLayout(Latent(self._bundle.manifest.latent), level=self.level))
            payload = encode_symbols(mask.symbols, self._bundle.tables, self.level)
            sections.insert(0, Section(symbol_digest(mask.symbols) & _DIGEST_MASK, payload))
        return SectionedFrame(self._bundle.id, identity, capture_ms, tuple(layouts), tuple(sections))
