"""A packet's way with and without a seal: latent to bytes at the camera, bytes to symbols at the dispatcher.

Example: python -m benchmarks.seal --bundle bundles/demo --frames samples
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import write_result
from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols
from narrows.contract.seal import Keyring, open_packet, seal_packet
from narrows.contract.wire import FeaturePacket, FrameIdentity
from narrows.runtime.pictures import read_picture

Latent = NDArray[np.float32]
Change = Callable[[FeaturePacket], FeaturePacket]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-seal", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    key = Keyring().rotated(0, None).issue("cam-1", 0)
    latents = _latents(bundle, options.frames)
    sides = {
        "open": Side(FrameCoder(bundle), lambda packet: packet, lambda packet: packet),
        "sealed": Side(FrameCoder(bundle), lambda p: seal_packet(p, key), lambda p: open_packet(p, key)),
    }
    scores = {name: Score(name) for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            scores[name].add(*side.round(latents))
    rows = [score.medians() for score in scores.values()]
    show(rows)
    figures = {"bundle": bundle.hex_id, "frames": len(latents), "rounds": options.rounds, "sides": rows}
    print(write_result("seal", "make bench-seal", figures))


@dataclass(frozen=True)
class Side:
    """Packets of the finest level, and bytes that are parsed and decoded as a dispatcher does."""

    coder: FrameCoder
    seal: Change
    unseal: Change

    def round(self, latents: list[Latent]) -> tuple[float, float, float]:
        """Mean bytes of a packet, and the processor's milliseconds to it and from it."""
        began_s = time.thread_time()
        sent = [self.seal(self.coder.packet(each, 0, FrameIdentity(7, 0), 0)).to_bytes() for each in latents]
        coded_s = time.thread_time()
        for data in sent:
            packet = self.unseal(FeaturePacket.parse(data))
            decode_symbols(packet.payload, packet.shape.as_tuple(), self.coder.bundle.tables, packet.level)
        ended_s = time.thread_time()
        count = len(latents)
        return sum(map(len, sent)) / count, (coded_s - began_s) * 1e3 / count, (ended_s - coded_s) * 1e3 / count


@dataclass
class Score:
    """What rounds of a side gave."""

    name: str
    rounds: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, size: float, encode_ms: float, decode_ms: float) -> None:
        """One more round."""
        self.rounds.append((size, encode_ms, decode_ms))

    def medians(self) -> dict[str, Any]:
        """A row of the result."""
        size, encode_ms, decode_ms = map(statistics.median, zip(*self.rounds, strict=True))
        return {"coder": self.name, "bytes": size, "encode_ms": encode_ms, "decode_ms": decode_ms}


def show(rows: list[dict[str, Any]]) -> None:
    table = Table("packets", "bytes", "latent to packet, CPU ms", "packet to symbols, CPU ms")
    for row in rows:
        table.add_row(row["coder"], f"{row['bytes']:,.0f}", f"{row['encode_ms']:.3f}", f"{row['decode_ms']:.3f}")
    Console(width=100).print(table)


def _latents(bundle: Bundle, folder: Path) -> list[Latent]:
    paths = sorted(path for path in folder.rglob("*.jpg") if "overlays" not in path.parts)
    if not paths:
        raise SystemExit(f"{folder} holds no .jpg pictures: name a folder with --frames")
    encoder = OnnxEncoder(bundle)
    return [encoder.latent(encoder.fit(read_picture(path))) for path in paths]


if __name__ == "__main__":
    main()
