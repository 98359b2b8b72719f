"""Counts the label tables for bundles that have none: ``python -m benchmarks.labels.general``.

On what the demo bundle predicts for CamVid's training split at level 0, one set for each size. It writes
``narrows/contract/codec/general_labels.bin``; the same data and bundle give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.labels.predictions import predictions, scaled
from narrows.contract.bundle import Bundle
from narrows.contract.codec import label_tables
from narrows.contract.codec.label_counting import count_label_tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="make label-tables", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    parser.add_argument("--split", default="train")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    classes = len(bundle.manifest.classes)
    masks = [each.mask for each in predictions(bundle, options.data, options.split, level=0)]
    tables = count_label_tables(list(scaled(masks, classes).values()), classes)
    path = Path(label_tables.__file__).with_name(label_tables.GENERAL)
    path.write_bytes(tables.to_bytes())
    print(f"{path}: {path.stat().st_size} bytes, id {tables.id:016x}, counted on {len(masks)} masks at 4 sizes")


if __name__ == "__main__":
    main()
