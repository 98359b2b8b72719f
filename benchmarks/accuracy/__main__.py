"""Every level of a bundle on a labelled split, with the int8 and (where it is there) the float encoder.

Example: python -m benchmarks.accuracy --data ../shared/data/camvid --split val
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from benchmarks.record import write_result
from narrows.bundle import Bundle
from narrows.cli.evaluate import evaluate_bundle
from narrows.dataset import FolderDataset


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-accuracy", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--split", default="val")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--float-encoder", type=Path, help="float encoder, if the bundle leaves it out")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    data = FolderDataset.open(options.data, options.split)
    encoders = {"int8": bundle.encoder_path, "float": options.float_encoder or bundle.float_encoder_path}
    rows = []
    print(f"{'level':>5} {'encoder':>8} {'mIoU':>8} {'accuracy':>9} {'bpp':>8} {'bytes':>7}")
    for level in range(len(bundle.manifest.levels)):
        for kind, encoder in encoders.items():
            if not encoder.is_file():
                continue
            result = evaluate_bundle(bundle, data, level, encoder=encoder)
            size_bytes = result.bits_per_pixel * bundle.manifest.input.width * bundle.manifest.input.height / 8
            rows.append({"encoder": kind, "packet_bytes": round(size_bytes), **asdict(result)})
            print(
                f"{level:>5} {kind:>8} {result.miou:>8.2%} {result.pixel_accuracy:>9.2%} "
                f"{result.bits_per_pixel:>8.4f} {size_bytes:>7.0f}"
            )
    command = f"make bench-accuracy  # {data.root.name}, split {data.split}, {len(data)} frames"
    print(write_result("accuracy", command, {"bundle": bundle.hex_id, "levels": rows}))


if __name__ == "__main__":
    main()
