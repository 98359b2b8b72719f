"""Packets made once, so that the encoder does not hide the path: real frames, real symbols."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols
from narrows.contract.wire.feature import FeaturePacket, FrameIdentity
from narrows.runtime.pictures import read_picture


@dataclass(frozen=True)
class Packets:
    """A few frames' packets, dealt out over and over under new identities, and their symbols ``(C, h, w)`` int8."""

    bundle: Bundle
    level: int
    packets: Sequence[FeaturePacket]
    symbols: Sequence[NDArray[np.int8]]

    @classmethod
    def encode(cls, bundle: Bundle, folder: Path, level: int | None = None) -> Packets:
        """Encode the pictures of a folder, in packet format 1; without ``level`` at the one that cameras begin with.

        Raises:
            SystemExit: there are none.
        """
        paths = sorted(path for path in folder.rglob("*.jpg") if "overlays" not in path.parts)
        if not paths:
            raise SystemExit(f"{folder} holds no .jpg pictures: name a folder with --frames")
        level = bundle.manifest.finest_level_within(0.1) if level is None else level
        encoder, coder = OnnxEncoder(bundle), FrameCoder(bundle)
        pictures = [encoder.fit(read_picture(path)) for path in paths]
        packets = [coder.packet(encoder.latent(p), level, FrameIdentity(1, 0), 0) for p in pictures]
        symbols = [decode_symbols(p.payload, p.shape.as_tuple(), bundle.tables, level) for p in packets]
        return cls(bundle, level, packets, symbols)

    @property
    def mean_bytes(self) -> float:
        """The mean size of a packet."""
        return float(np.mean([len(packet.to_bytes()) for packet in self.packets]))

    def body(self, epoch: int, sequence: int, salt: int = 0) -> bytes:
        """The packet of one identity; captured now."""
        packet = self.packets[(sequence + salt) % len(self.packets)]
        now_ms = int(time.time() * 1000)
        return replace(packet, epoch=epoch, sequence=sequence, capture_ms=now_ms).to_bytes()
