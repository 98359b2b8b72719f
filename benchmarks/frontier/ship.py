"""The bundles for weak cameras, of networks that `make train-frontier` has finished: two folders with model cards.

Each is a network of the design *features*, as a bundle is: symbols travel, and the cloud's decoder reads them.
What its card says was measured on the drive that training left out. A bundle that stands is replaced whole, or not.

Example: python -m benchmarks.frontier.ship --run runs/frontier
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.accuracy.drives import drives_of
from benchmarks.frontier.card import card_of
from benchmarks.frontier.data import read_parts
from benchmarks.frontier.networks import build
from benchmarks.frontier.plan import RUNS, Cell, Plan, RunFolder
from benchmarks.frontier.train import DATA
from benchmarks.rate.progress import say
from narrows.contract.bundle import Bundle
from narrows.contract.bundle.int8_decoder import DECODER_INT8, RECORD
from narrows.contract.errors import ConfigError, NarrowsError
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.models.export.draft import bundle_draft
from narrows.models.export.halves import Halves
from narrows.models.export.labelling import Labelling
from narrows.models.export.resources import write_and_count
from narrows.models.export.weak import halves_of
from narrows.models.export.write import write_bundle
from narrows.models.nn.stored import BEGIN_ANEW, read_stored
from narrows.models.nn.weak_designs import Design
from narrows.models.training.fitting import TRAINED
from narrows.models.training.model_card import MODEL_CARD
from narrows.ops.camera_packets import camera
from narrows.runtime.surroundings import scratch_folder
from narrows.runtime.writing import write_file

BUNDLES = {"weak": Cell(0.2, Design.FEATURES, 0.2, 1), "mcu": Cell(0.05, Design.FEATURES, 0.2, 1)}
"""What ships, by the name of its folder."""
MOST_BYTES = 3_000_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="make frontier-bundles", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="labelled folder of several drives")
    parser.add_argument("--run", type=Path, default=RUNS, help="what `make train-frontier` wrote")
    parser.add_argument("--out", type=Path, default=Path("bundles"), help="a folder for each bundle goes here")
    parser.add_argument("--only", choices=sorted(BUNDLES), help="write this one alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        for name, cell in BUNDLES.items():
            if options.only in {None, name}:
                ship(name, cell, options.data, RunFolder(options.run), options.out / name)
    except NarrowsError as error:
        print(f"frontier-bundles: {error}", file=sys.stderr)
        return 1
    return 0


def ship(name: str, cell: Cell, data: Path, run: RunFolder, folder: Path) -> Bundle:
    """Export a cell's network, judge it on the drive that it has not seen, and write its card.

    Raises:
        ConfigError: the network is not trained yet, or its bundle is larger than what ships.
        DatasetError: the data cannot be read.
    """
    plan = Plan.read(run.root)
    if not run.weights(cell).is_file():
        raise ConfigError(f'{run.root} has no {cell.name} yet: make train-frontier ARGS="--only {cell.name}"')
    parts = read_parts(data, plan)
    network = build(cell, run, parts.size, len(parts.classes.names))
    read_stored(run.weights(cell), TRAINED, remedy=BEGIN_ANEW).fill(network)
    seen = FolderDataset.open(data, "train").without(f"{plan.leave_out}_*")
    label = Labelling(name, "1", "CC BY-NC 4.0, as its data", f"CamVid without drive {plan.leave_out}")
    (unseen,) = (drive for drive in drives_of(data) if drive.name == plan.leave_out)
    with scratch_folder() as scratch:
        say(f"exporting {cell.name}")
        asked = write_and_count(network.camera, [torch.zeros(1, 3, *parts.size)], scratch / "camera.onnx")
        bundle = _written(halves_of(network.eval()), seen, label, scratch / name)
        judged = [
            evaluate_bundle(bundle, unseen, level, encode=camera(bundle, level, bundle.encoder_path))
            for level in range(len(bundle.manifest.levels))
        ]
        with bundle_draft(folder, bundle):
            card = card_of(name, cell, plan, bundle, asked, judged)
        write_file(folder / MODEL_CARD, card)
    shipped = Bundle.open(folder)
    say(f"{folder}: bundle {shipped.hex_id}")
    return shipped


def _written(halves: Halves, seen: FolderDataset, label: Labelling, folder: Path) -> Bundle:
    """A bundle without what ships with none, if it is small enough.

    Raises:
        ConfigError: it is not.
    """
    left_out = [write_bundle(halves, seen, label, folder, say).float_encoder_path]
    left_out += [folder / twin for twin in (DECODER_INT8, RECORD)]  # the twin is as large as the decoder beside it
    for path in left_out:
        path.unlink(missing_ok=True)
    size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    if size_bytes > MOST_BYTES:
        raise ConfigError(f"{label.name} has {size_bytes:,} bytes, and {MOST_BYTES:,} are the most that ships")
    return Bundle.open(folder)


if __name__ == "__main__":
    raise SystemExit(main())
