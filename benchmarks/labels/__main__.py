"""Label maps that a bundle predicts, coded by Narrows and by rivals: bits by size, time beside the symbol coder.

Example: python -m benchmarks.labels --data ../shared/data/camvid --split val
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.codec.coder import Coder, race
from benchmarks.labels.predictions import Prediction, predictions, scaled
from benchmarks.labels.rivals import size_coders, timed_rivals
from benchmarks.rate.labelmaps import Labels, larger
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle
from narrows.contract.codec import (
    LabelTables,
    decode_labels,
    decode_symbols,
    encode_labels,
    encode_symbols,
    general_label_tables,
)
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.confusion import ConfusionMatrix

OURS, SYMBOLS = "Narrows, label maps", "Narrows, symbols of the same frames"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-labels", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--split", default="val", help="what is reported; the tables were not counted on it")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--level", type=int, default=0, help="rate level of the predictions and of the symbol coder")
    parser.add_argument("--tables", type=Path, help="label tables file (default: the bundle's, else the general ones)")
    parser.add_argument("--rounds", type=int, default=7, help="of timing; the median counts")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    tables = bundle.label_tables or general_label_tables()
    if options.tables is not None:
        tables = LabelTables.parse(options.tables.read_bytes())
    classes = len(bundle.manifest.classes)
    frames = list(predictions(bundle, options.data, options.split, options.level))
    maps = scaled([frame.mask for frame in frames], classes)
    ignore = FolderDataset.open(options.data, options.split).classes.ignore_index
    sizes = [measure_size(factor, masks, frames, classes, ignore, tables) for factor, masks in maps.items()]
    timed = race(
        [ours(maps[1], classes, tables), symbols(frames, bundle, options.level), *timed_rivals(maps[1])],
        options.rounds,
    )
    label_score, symbol_score = timed[:2]
    figures = {
        "bundle": bundle.hex_id,
        "tables": f"{tables.id:016x}",
        "frames": len(frames),
        "bits_per_pixel": {row["size"]: row["bits_per_pixel"]["Narrows"] for row in sizes},
        "encode_ms": label_score.encode_ms,
        "decode_ms": label_score.decode_ms,
        "time_over_symbol_coder": {
            "encode": label_score.encode_ms / symbol_score.encode_ms,
            "decode": (label_score.decode_ms or 0.0) / (symbol_score.decode_ms or 1.0),
        },
        "sizes": sizes,
        "timed": [asdict(score) for score in timed],
    }
    show(figures)
    command = (
        f"make bench-labels  # {options.data.name}, split {options.split}, {len(frames)} frames, level {options.level}"
    )
    print(write_result("labels", command, figures))


def ours(masks: Sequence[Labels], classes: int, tables: LabelTables) -> Coder:
    shape = masks[0].shape
    for mask in masks:
        assert np.array_equal(decode_labels(encode_labels(mask, classes, tables), mask.shape, classes, tables), mask)
    return Coder(
        OURS,
        masks,
        lambda mask: encode_labels(mask, classes, tables),
        lambda payload: decode_labels(payload, shape, classes, tables),
    )


def symbols(frames: Sequence[Prediction], bundle: Bundle, level: int) -> Coder:
    shape = frames[0].symbols.shape
    return Coder(
        SYMBOLS,
        [frame.symbols for frame in frames],
        lambda plane: encode_symbols(plane, bundle.tables, level),
        lambda payload: decode_symbols(payload, shape, bundle.tables, level),
    )


def measure_size(
    factor: int, masks: Sequence[Labels], frames: Sequence[Prediction], classes: int, ignore: int, tables: LabelTables
) -> dict[str, Any]:
    """Bits by coder, for a pixel of the full picture, and the accuracy that the scaled mask has left."""
    matrix = ConfusionMatrix(classes, ignore)
    for mask, frame in zip(masks, frames, strict=True):
        matrix.update(frame.truth, larger(mask, factor, frame.truth.shape))
    coders: dict[str, Callable[[Labels], int]] = {
        "Narrows": lambda mask: len(encode_labels(mask, classes, tables)),
        **size_coders(),
    }
    sizes = {name: [size_bytes(mask) for mask in masks] for name, size_bytes in coders.items()}
    return {
        "size": f"{masks[0].shape[1]}x{masks[0].shape[0]}",
        "miou": round(matrix.miou, 5),
        "bytes_most": max(sizes["Narrows"]),
        "bits_per_pixel": {n: 8 * statistics.fmean(each) / frames[0].mask.size for n, each in sizes.items()},
    }


def show(figures: dict[str, Any]) -> None:
    sizes = figures["sizes"]
    table = Table("bits per pixel of the full picture", *(row["size"] for row in sizes))
    for name in sizes[0]["bits_per_pixel"]:
        table.add_row(name, *(f"{row['bits_per_pixel'][name]:.4f}" for row in sizes))
    table.add_row("mIoU", *(f"{row['miou']:.1%}" for row in sizes))
    times = Table("at full size", "bytes", "encode, ms", "decode, ms")
    for row in figures["timed"]:
        times.add_row(row["coder"], f"{row['bytes']:,.0f}", f"{row['encode_ms']:.3f}", f"{row['decode_ms']:.3f}")
    console = Console(width=110)
    console.print(table)
    console.print(times)
    print("time over the symbol coder:", figures["time_over_symbol_coder"])


if __name__ == "__main__":
    main()
