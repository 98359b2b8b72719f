"""A key frame every two seconds and predicted ones between, beside keys alone: bits and decoding time, clip by clip.

Example: python -m benchmarks.time --bundle bundles/demo --videos ../shared/data/videos --data ../shared/data/camvid
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import write_result
from benchmarks.time.clips import Clip, find_clips
from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import Memory, decode_symbols, ideal_bits, remember, symbol_digest
from narrows.contract.wire import FeaturePacket, FrameIdentity, PacketKind
from narrows.contract.wire.feature import HEADER_BYTES

TARGET_BITS_PER_PIXEL = 0.05
KEY_PERIOD_S = 2.0
_FRAMES, _QUICK_FRAMES = 400, 30


@dataclass(frozen=True)
class Score:
    """A clip both ways. Bytes are a frame's mean, whole packets with their headers; times are CPU milliseconds a frame.

    Attributes:
        saved: share of the bytes that predicting saves.
        beyond_estimate_bytes: how far the worst payload lies beyond 1.01 times the tables' own estimate.
    """

    clip: str
    noise: float
    frames: int
    keys: int
    key_bytes: float
    bytes: float
    saved: float
    key_decode_ms: float
    decode_ms: float
    beyond_estimate_bytes: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-time", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--videos", type=Path, default=Path("../shared/data/videos"), help="folder of .mp4 files")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--rounds", type=int, default=5, help="of decoding, both ways in turn")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_FRAMES} frames of each clip")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    if not bundle.tables.predicted:
        raise SystemExit(
            f"{options.bundle} has no tables for P packets: narrows bundle recount makes a bundle that has"
        )
    rates = [level.bits_per_pixel for level in bundle.manifest.levels]
    level = min(range(len(rates)), key=lambda index: abs(rates[index] - TARGET_BITS_PER_PIXEL))
    clips, absent = find_clips(options.videos, options.data)
    for what in absent:
        print(f"skipped: there is no {what}")
    most = _QUICK_FRAMES if options.quick else _FRAMES
    scores = [score_clip(bundle, level, clip, most, options.rounds) for clip in clips]
    show(scores)
    figures = {"bundle": bundle.hex_id, "level": level, "key_period_s": KEY_PERIOD_S, "rounds": options.rounds}
    figures |= {"skipped": absent, "clips": [asdict(score) for score in scores]}
    print(write_result("time", f"make bench-time  # level {level}, a key every {KEY_PERIOD_S:g} s", figures))


def score_clip(bundle: Bundle, level: int, clip: Clip, most: int, rounds: int) -> Score:
    """Code a clip both ways, decode it both ways, and hold what is decoded against each other."""
    encoder = OnnxEncoder(bundle)
    latents = [encoder.latent(encoder.fit(picture)) for picture in clip.pictures(most)]
    keys = coded(FrameCoder(bundle), latents, level, clip.frames_per_s)
    packets = coded(FrameCoder(bundle, KEY_PERIOD_S), latents, level, clip.frames_per_s)
    sides: dict[str, list[float]] = {"keys": [], "packets": []}
    for _ in range(rounds):
        sides["keys"].append(decode_ms(bundle, keys))
        sides["packets"].append(decode_ms(bundle, packets))
    key_bytes, size_bytes = (statistics.fmean(HEADER_BYTES + len(p.payload) for p in some) for some in (keys, packets))
    return Score(
        clip=clip.name,
        noise=clip.noise,
        frames=len(packets),
        keys=sum(packet.kind is PacketKind.KEY for packet in packets),
        key_bytes=key_bytes,
        bytes=size_bytes,
        saved=1 - size_bytes / key_bytes,
        key_decode_ms=statistics.median(sides["keys"]),
        decode_ms=statistics.median(sides["packets"]),
        beyond_estimate_bytes=check(bundle, keys, packets),
    )


def coded(
    coder: FrameCoder, latents: Sequence[NDArray[np.float32]], level: int, frames_per_s: float
) -> list[FeaturePacket]:
    """The packets that a camera sends of latents ``(C, h, w)``, taken at that rate."""
    return [coder.packet(latent, level, FrameIdentity(1, n), 0, n / frames_per_s) for n, latent in enumerate(latents)]


def decode_all(bundle: Bundle, packets: Sequence[FeaturePacket]) -> list[tuple[NDArray[np.int8], Memory | None]]:
    """Each packet's symbols ``(C, h, w)``, with the memory that it was decoded with, as a dispatcher does it."""
    decoded: list[tuple[NDArray[np.int8], Memory | None]] = []
    memory: Memory | None = None
    for packet in packets:
        given = None if packet.kind is PacketKind.KEY else memory
        symbols = decode_symbols(packet.payload, packet.shape.as_tuple(), bundle.tables, packet.level, given)
        memory = remember(symbols, given)
        decoded.append((symbols, given))
    return decoded


def decode_ms(bundle: Bundle, packets: Sequence[FeaturePacket]) -> float:
    """CPU milliseconds a packet."""
    begun_s = time.process_time()
    decode_all(bundle, packets)
    return 1e3 * (time.process_time() - begun_s) / len(packets)


def check(bundle: Bundle, keys: Sequence[FeaturePacket], packets: Sequence[FeaturePacket]) -> float:
    """Both ways decode to the very same symbols, so to the same masks; how far bytes lie beyond the estimate."""
    worst = float("-inf")
    both = zip(packets, decode_all(bundle, keys), decode_all(bundle, packets), strict=True)
    for packet, (alone, _), (symbols, memory) in both:
        if not np.array_equal(alone, symbols) or symbol_digest(symbols) != packet.own_digest:
            raise SystemExit(f"frame {packet.sequence} decodes to other symbols as P than as K")
        estimate = ideal_bits(symbols, bundle.tables, packet.level, memory) / 8
        worst = max(worst, len(packet.payload) - 1.01 * estimate)
    return worst


def show(scores: Sequence[Score]) -> None:
    table = Table("clip", "noise", "frames", "keys", "all K, bytes", "K and P, bytes", "saved", "decode, CPU")
    for score in scores:
        table.add_row(
            score.clip,
            f"{score.noise:g}",
            str(score.frames),
            str(score.keys),
            f"{score.key_bytes:,.0f}",
            f"{score.bytes:,.0f}",
            f"{score.saved:.1%}",
            f"{score.decode_ms / score.key_decode_ms:.2f}x",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
