"""From a latent to the packet that crosses the uplink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.bundle import Bundle
from narrows.codec import encode_symbols, quantise, symbol_digest
from narrows.wire import FeaturePacket, FrameIdentity, Kind


@dataclass(frozen=True)
class FrameCoder:
    """Quantises and entropy-codes latents with one bundle. Every packet is a K: it decodes alone."""

    bundle: Bundle

    def packet(
        self, latent: NDArray[np.float32], level: int, identity: FrameIdentity, capture_ms: int
    ) -> FeaturePacket:
        """The K packet of a latent ``(C, h, w)`` float32 at a rate level."""
        tables = self.bundle.tables
        symbols = tables.silence(quantise(latent, self.bundle.gains[level]), level)
        return FeaturePacket(
            bundle_id=self.bundle.id,
            epoch=identity.epoch,
            sequence=identity.sequence,
            capture_ms=capture_ms,
            level=level,
            shape=self.bundle.manifest.latent,
            own_digest=symbol_digest(symbols),
            payload=encode_symbols(symbols, tables, level),
            kind=Kind.KEY,
        )
