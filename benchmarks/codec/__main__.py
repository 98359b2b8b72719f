"""The symbol coder on the symbols of real frames, beside its rivals.

Example: python -m benchmarks.codec --bundle bundles/demo --frames samples
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.codec.against import compare
from benchmarks.codec.coder import Coder, Score, race
from benchmarks.codec.rivals import through_constriction, through_picture, through_zstd
from benchmarks.record import write_result
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import CodingTables, decode_symbols, encode_symbols, ideal_bits, quantise
from narrows.contract.wire.feature import HEADER_BYTES
from narrows.runtime.pictures import read_picture

OURS = "Narrows"
AGAINST_ROUNDS = 101
Planes = Sequence[NDArray[np.int8]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-codec", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--level", type=int, help="rate level (default: the finest within 0.1 bits per pixel)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--against", metavar="REV", help="time the coder of this commit beside, in turn (101 rounds)")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    level = bundle.manifest.finest_level_within(0.1) if options.level is None else options.level
    pictures, latents = _latents(bundle, options.frames)
    symbols = [_symbols(bundle, latents, each) for each in range(len(bundle.manifest.levels))]
    planes, tables = symbols[level], bundle.tables
    scores = race(
        [
            ours(planes, tables, level),
            *through_constriction(planes, tables, level),
            through_zstd(planes, 3),
            through_zstd(planes, 19),
        ],
        options.rounds,
    )
    scores += race(
        [
            through_picture("PNG of the frame", pictures, "PNG"),
            through_picture("WebP lossless of the frame", pictures, "WEBP", lossless=True),
        ],
        1,
    )
    by_level = race([ours(s, tables, i, f"Narrows, level {i}") for i, s in enumerate(symbols)], options.rounds)
    figures = {"bundle": bundle.hex_id, "level": level, "frames": len(pictures), "rounds": options.rounds}
    figures |= describe(scores[0], planes, tables, level, pictures[0].size // 3)
    figures |= {"rivals": [asdict(score) for score in scores], "levels": [asdict(score) for score in by_level]}
    if options.against is not None:
        figures |= against_figures(options.against, tables, symbols, level)
    show(figures)
    print(write_result("codec", f"make bench-codec  # level {level}, {len(pictures)} frames", figures))


def against_figures(revision: str, tables: CodingTables, symbols: Sequence[Planes], level: int) -> dict[str, Any]:
    """The present coder beside another commit's: at the chosen level, and at each."""
    ratios = compare(revision, tables, symbols, AGAINST_ROUNDS)
    for each in ratios:
        same = "same payloads" if each.payloads_same else "other payloads"
        print(
            f"level {each.level} against {revision}: decode {each.decode:.2f} times as fast, encode {each.encode:.2f}; "
            f"bits {each.bits:.4f}; {same}"
        )
    chosen = ratios[level]
    return {
        "against": revision,
        "decode_ratio_against": chosen.decode,
        "encode_ratio_against": chosen.encode,
        "bits_ratio": chosen.bits,
        "levels_against": [asdict(each) for each in ratios],
    }


def ours(planes: Planes, tables: CodingTables, level: int, name: str = OURS) -> Coder:
    shape = planes[0].shape
    return Coder(
        name,
        planes,
        lambda plane: encode_symbols(plane, tables, level),
        lambda payload: decode_symbols(payload, shape, tables, level),
    )


def describe(score: Score, planes: Planes, tables: CodingTables, level: int, pixels: int) -> dict[str, Any]:
    """The figures of our coder at the chosen level; only coded symbols count."""
    for plane in planes:
        assert np.array_equal(decode_symbols(encode_symbols(plane, tables, level), plane.shape, tables, level), plane)
    decode_ms = score.decode_ms or 0.0
    live = int(tables.live(level).sum())
    coded = live * planes[0][0].size
    ideal_bytes = statistics.fmean(ideal_bits(plane, tables, level) for plane in planes) / 8
    return {
        "encode_ms": score.encode_ms,
        "decode_ms": decode_ms,
        "encode_msymbols_per_s": coded / score.encode_ms / 1e3,
        "decode_msymbols_per_s": coded / decode_ms / 1e3,
        "live_channels": live,
        "coded_symbols": coded,
        "payload_bytes": score.bytes,
        "bits_per_pixel": 8 * (score.bytes + HEADER_BYTES) / pixels,
        "bits_over_ideal": 8 * (score.bytes - ideal_bytes),
        "over_ideal": score.bytes / ideal_bytes - 1,
        "gain_over_one_table_a_channel": 1 - ideal_bytes / one_table_a_channel_bytes(planes, tables, level),
        "tables_bytes": len(tables.to_bytes()),
    }


def one_table_a_channel_bytes(planes: Planes, tables: CodingTables, level: int) -> float:
    """Bytes a frame with one table a channel, counted on the very frames that it codes (which favours it)."""
    bits = 0.0
    for channel in tables.at(level).channels:
        counts = np.bincount(np.concatenate([p[channel].reshape(-1) for p in planes]).astype(np.intp) + 127)
        seen = counts[counts > 0]
        bits -= float((seen * np.log2(seen / seen.sum())).sum())
    return bits / 8 / len(planes)


def show(figures: dict[str, Any]) -> None:
    table = Table("one frame through", "bytes", "encode, ms", "decode, ms")
    for row in figures["rivals"] + figures["levels"]:
        table.add_row(row["coder"], f"{row['bytes']:,.0f}", _ms(row["encode_ms"]), _ms(row["decode_ms"]))
    Console(width=100).print(table)
    print(
        f"level {figures['level']}: {figures['coded_symbols']} symbols in {figures['live_channels']} live channels, "
        f"{figures['bits_per_pixel']:.4f} bits per pixel with the header; encode "
        f"{figures['encode_msymbols_per_s']:.0f}, decode {figures['decode_msymbols_per_s']:.0f} Msymbols/s; "
        f"{figures['bits_over_ideal']:.0f} bits ({figures['over_ideal']:.2%}) over the tables' ideal; "
        f"{figures['gain_over_one_table_a_channel']:.1%} smaller than with one table a channel"
    )


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _latents(bundle: Bundle, folder: Path) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    paths = sorted(path for path in folder.rglob("*.jpg") if "overlays" not in path.parts)
    if not paths:
        raise SystemExit(f"{folder} holds no .jpg pictures: name a folder with --frames")
    encoder = OnnxEncoder(bundle)
    pictures = [encoder.fit(read_picture(path)) for path in paths]
    return pictures, [encoder.latent(picture) for picture in pictures]


def _symbols(bundle: Bundle, latents: Sequence[NDArray[np.float32]], level: int) -> list[NDArray[np.int8]]:
    return [bundle.tables.silence(quantise(latent, bundle.gains[level]), level) for latent in latents]


if __name__ == "__main__":
    main()
