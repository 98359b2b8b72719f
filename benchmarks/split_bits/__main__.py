"""What crosses at the cuts of real networks: bytes against accuracy, beside other coders and picture codecs.

Example: python -m benchmarks.split_bits --only classifier --share 0.2
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.record import RESULTS, write_result
from benchmarks.split_bits.pictures import Picture
from benchmarks.split_bits.search import Bench, picture_codecs, run
from benchmarks.split_bits.subjects import Subject, subjects

_QUALITIES = (10, 25, 50, 75, 90, 98)


def codec(kind: str, quality: int, side: int) -> Callable[[Picture], tuple[Picture, int]]:
    """The picture as it arrives, and its bytes; no larger than the network looks at it."""

    def through(picture: Picture) -> tuple[Picture, int]:
        image = Image.fromarray(picture)
        image.thumbnail((side, side)) if side else None
        file = io.BytesIO()
        image.save(file, kind, quality=quality)
        return np.asarray(Image.open(file).convert("RGB")), len(file.getvalue())  # noqa: TID251 -- just written

    return through


def measured(subject: Subject, data: Path, share: float) -> dict[str, Any]:
    bench = Bench.opened(subject, data, share)
    found = run(bench, lambda line: print(line, flush=True))
    shape = bench.network.input.shape
    side = max(shape[2:]) if shape[1] == 3 else 0  # labelled pictures keep their size
    codecs = {f"{kind} {q}": codec(kind, q, side) for kind in ("JPEG", "WebP") for q in _QUALITIES}
    return found | {"share_of_pictures": share, "picture_codec": picture_codecs(bench, codecs)}


def store(found: dict[str, Any]) -> None:
    """Put a network's figures in the place of its former ones."""
    path = RESULTS / "split-bits.json"
    former = json.loads(path.read_text())["networks"] if path.is_file() else []
    networks = [each for each in former if each["name"] != found["name"]] + [found]
    write_result("split-bits", "make bench-split-bits", {"networks": sorted(networks, key=lambda each: each["name"])})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="pictures and weights")
    parser.add_argument("--only", default="", help="networks whose names begin so")
    parser.add_argument("--share", type=float, default=1.0, help="of the pictures")
    parser.add_argument("--quick", action="store_true", help="a tenth of the pictures; nothing is stored")
    arguments = parser.parse_args()
    for subject in subjects(arguments.data):
        if not subject.name.startswith(arguments.only):
            continue
        if not subject.path.is_file():
            print(f"{subject.name}: skipped, {subject.path} is not here (make fetch-networks)")
            continue
        print(subject.name, flush=True)
        found = measured(subject, arguments.data, 0.1 if arguments.quick else arguments.share)
        print(f"  {found['ratio_at_one_point']:.1f} at one point, {found['best_ratio']:.1f} best")
        if not arguments.quick:
            store(found)


if __name__ == "__main__":
    main()
