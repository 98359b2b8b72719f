"""Every level of a bundle on a labelled split: int8 and float encoder, float and int8 decoder, where they are there.

Then the masks that the camera makes itself, by size. Then what the recipe does on a drive that it has never seen, for
each drive, if ``make train-drives`` has trained that.

Example: python -m benchmarks.accuracy --data ../shared/data/camvid --split val
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.accuracy.camera_masks import camera_masks
from benchmarks.accuracy.unseen import beside_others, judge_unseen, trained
from benchmarks.record import RESULTS, read_result, write_result
from benchmarks.resumable import named
from narrows.contract.bundle import Bundle
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.ops.camera_packets import camera


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-accuracy", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--split", default="val")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--float-encoder", type=Path, help="float encoder, if the bundle leaves it out")
    parser.add_argument("--folds", type=Path, default=Path("runs/drives"), help="folder of `make train-drives`")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    data = FolderDataset.open(options.data, options.split)
    drives = trained(options.data, options.folds)
    former = read_result("accuracy") if (RESULTS / "accuracy.json").is_file() else {}
    exact = options.float_encoder or bundle.float_encoder_path
    sides = [
        ("int8", bundle.encoder_path, "float", bundle.decoder_path),
        ("float", exact, "float", bundle.decoder_path),
    ]
    if bundle.int8_decoder is not None:
        sides.append(("int8", bundle.encoder_path, "int8", bundle.int8_decoder_path))
    rows: dict[str, list[dict[str, Any]]] = {"float": [], "int8": []}
    print(f"{'level':>5} {'encoder':>8} {'decoder':>8} {'mIoU':>8} {'accuracy':>9} {'bpp':>8} {'bytes':>7}")
    for level in range(len(bundle.manifest.levels)):
        for encoding, encoder, decoding, decoder in sides:
            if not encoder.is_file():
                continue
            result = evaluate_bundle(bundle, data, level, encode=camera(bundle, level, encoder), decoder=decoder)
            size_bytes = result.bits_per_pixel * bundle.manifest.input.width * bundle.manifest.input.height / 8
            rows[decoding].append({"encoder": encoding, "packet_bytes": round(size_bytes), **asdict(result)})
            print(
                f"{level:>5} {encoding:>8} {decoding:>8} {result.miou:>8.2%} {result.pixel_accuracy:>9.2%} "
                f"{result.bits_per_pixel:>8.4f} {size_bytes:>7.0f}"
            )
    command = f"make bench-accuracy  # {data.root.name}, split {data.split}, {len(data)} frames"
    figures: dict[str, Any] = {"bundle": bundle.hex_id, "levels": rows["float"], "int8_decoder": rows["int8"]}
    if bundle.has_camera_decoder:
        figures["camera_masks"] = camera_masks(bundle, data)
        for row in figures["camera_masks"]:
            print(f"camera's masks at 1/{row['divisor']}: {row['miou']:.2%} mIoU at {row['bits_per_pixel']:.4f} bpp")
    figures["levels"] += float_rows_of(former, bundle.hex_id, command, rows["float"])
    figures |= beside_others(judge_unseen(drives, options.folds) if drives else None, former)
    print(write_result("accuracy", command, figures))


def float_rows_of(
    former: Mapping[str, Any], bundle: str, command: str, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What a former result has of a bundle's float encoder on the same data, where that was not there now."""
    if (former.get("bundle"), former.get("command")) != (bundle, command) or any(
        row["encoder"] == "float" for row in rows
    ):
        return []
    return [row for row in former.get("levels", []) if row["encoder"] == "float"]


if __name__ == "__main__":
    sys.exit(named("make bench-accuracy", main))
