"""Packets made once, so that the encoder does not hide the path: real frames, real symbols."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edge_client.encode.coding import FrameCoder, symbols_of
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols
from narrows.contract.wire.feature import FeaturePacket, FrameIdentity, PacketKind
from narrows.runtime.pictures import read_picture

_ONE_CHAIN_S, _NOISE, _SEED = 3600.0, 0.02, 20262


@dataclass(frozen=True)
class Packets:
    """A few frames' packets, dealt out over and over under new identities, and their symbols ``(C, h, w)`` int8.

    Attributes:
        chain: a K packet and so many less one P packets lie one behind the other, and again.
    """

    bundle: Bundle
    level: int
    packets: Sequence[FeaturePacket]
    symbols: Sequence[NDArray[np.int8]]
    chain: int = 1

    @classmethod
    def encode(cls, bundle: Bundle, folder: Path, level: int | None = None) -> Packets:
        """Encode the pictures of a folder, in packet format 1; without ``level`` at the one that cameras begin with.

        Raises:
            SystemExit: there are none.
        """
        paths = _pictures(folder)
        level = bundle.manifest.finest_level_within(0.1) if level is None else level
        encoder, coder = OnnxEncoder(bundle), FrameCoder(bundle)
        pictures = [encoder.fit(read_picture(path)) for path in paths]
        packets = [coder.packet(encoder.latent(p), level, FrameIdentity(1, 0), 0) for p in pictures]
        symbols = [decode_symbols(p.payload, p.shape.as_tuple(), bundle.tables, level) for p in packets]
        return cls(bundle, level, packets, symbols)

    @classmethod
    def chains(cls, bundle: Bundle, folder: Path, level: int, predicted: int) -> Packets:
        """The same of chains: each picture as K, and then as P with a sensor's noise, ``predicted`` times.

        Raises:
            SystemExit: as :meth:`encode`; or a P packet was no smaller than a K, so that there is no chain.
        """
        encoder, noise = OnnxEncoder(bundle), np.random.default_rng(_SEED)
        packets: list[FeaturePacket] = []
        symbols: list[NDArray[np.int8]] = []
        for path in _pictures(folder):
            latent, coder = encoder.latent(encoder.fit(read_picture(path))), FrameCoder(bundle, _ONE_CHAIN_S)
            for sequence in range(1 + predicted):
                shaken = latent + noise.normal(0, _NOISE * latent.std(), latent.shape).astype(np.float32)
                packets.append(coder.packet(shaken, level, FrameIdentity(1, sequence), 0))
                symbols.append(symbols_of(bundle, shaken, level))
                if (packets[-1].kind is PacketKind.KEY) is (sequence > 0):
                    raise SystemExit(f"{path} as frame {sequence} of a chain became {packets[-1].kind.name}")
        return cls(bundle, level, packets, symbols, 1 + predicted)

    @property
    def mean_bytes(self) -> float:
        """The mean size of a packet."""
        return float(np.mean([len(packet.to_bytes()) for packet in self.packets]))

    def body(self, epoch: int, sequence: int, salt: int = 0) -> bytes:
        """The packet of one identity; captured now."""
        chain, place = divmod(sequence, self.chain)
        packet = self.packets[((chain + salt) * self.chain + place) % len(self.packets)]
        now_ms = int(time.time() * 1000)
        return replace(packet, epoch=epoch, sequence=sequence, capture_ms=now_ms).to_bytes()


def _pictures(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*.jpg") if "overlays" not in path.parts)
    if not paths:
        raise SystemExit(f"{folder} holds no .jpg pictures: name a folder with --frames")
    return paths
