"""Leave one drive out: a network of the present recipe for each drive, which has never seen that drive.

Each fold trains on the other drives, counts its tables on them, and is judged on all frames of the drive that was left
out (``make bench-accuracy``). ``make train-drives`` trains the folds; a fold goes on after its last epoch, and a bundle
that stands is kept. All may begin from a run that learnt other pictures than these (``make train-road``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.accuracy.drives import EPOCHS, FULL_EPOCHS, Drive, drives_of
from benchmarks.resumable import resumable
from benchmarks.unseen import check_unseen
from narrows.contract.bundle.manifest import MANIFEST
from narrows.contract.errors import ConfigError
from narrows.models.dataset import FolderDataset
from narrows.models.export.labelling import Labelling
from narrows.models.export.write import write_bundle
from narrows.models.training.config import TrainingConfig, phases_for
from narrows.models.training.loop import train
from narrows.models.training.origin import Origin, name_of
from narrows.models.training.run import CHECKPOINT, load_checkpoint
from narrows.models.training.run_folder import CONFIG

FOLDS = Path("runs/drives")
BUNDLE = Path("bundle") / MANIFEST
"""Stands in a fold that is done."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make train-drives", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/camvid"), help="labelled folder")
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument("--pretrained", type=Path, help="EfficientNet-Lite0 ImageNet weights (.pth)")
    begin.add_argument("--begin-from", type=Path, help="run folder of `make train-road`: it saw none of these pictures")
    parser.add_argument("--folds", type=Path, default=FOLDS, help="a folder for each drive goes here")
    parser.add_argument("--only", help="train this fold alone")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--full-epochs", type=int, default=FULL_EPOCHS)
    parser.add_argument("--bad-share", type=float, default=0.0, help="share of views that are bad pictures")
    parser.add_argument("--threads", type=int, default=1, help="beside other work one is fastest")
    options = parser.parse_args()
    drives = drives_of(options.data)
    if options.begin_from is not None:
        check_unseen(options.begin_from, [name for drive in drives for part in drive.parts for name in part.names])
    for drive in drives:
        check_alike(options.folds / drive.name, options.begin_from, options.bad_share)
    for drive in drives:
        if options.only in {None, drive.name}:
            _train_fold(drive, options)


def check_alike(fold: Path, begin_from: Path | None, bad_share: float) -> None:
    """See that a fold, if it is trained or on its way, is of the recipe that is asked for: a mean would mix them.

    How long each was trained is told beside the mean, so that may differ.

    Raises:
        ConfigError: it began elsewhere, or saw another share of bad pictures.
    """
    if not any((fold / made).is_file() for made in (CHECKPOINT, BUNDLE)):
        return
    then = {"begun_from": Origin.read(fold).begun_from, "bad_share": TrainingConfig.read(fold / CONFIG).bad_share}
    now = {"begun_from": None if begin_from is None else name_of(begin_from), "bad_share": bad_share}
    if other := [name for name in then if then[name] != now[name]]:
        told = ", ".join(f"{name} {then[name]!r}, now {now[name]!r}" for name in other)
        raise ConfigError(f"{fold} was begun with {told}; name another --folds, or remove this one")


def _train_fold(drive: Drive, options: argparse.Namespace) -> None:
    folder: Path = options.folds / drive.name
    if (folder / BUNDLE).is_file():
        print(f"{drive.name}: {folder}/bundle stands")
        return
    config = TrainingConfig(
        data=options.data,
        split="train",
        pretrained=options.pretrained,
        begin_from=options.begin_from,
        leave_out=drive.pattern,
        bad_share=options.bad_share,
        phases=phases_for(drive.classes.size, options.epochs, options.full_epochs),
        threads=options.threads,
    )
    checkpoint = train(config, folder, lambda line: print(f"{drive.name}: {line}", flush=True))
    label = Labelling(f"without-{drive.name}", "1", "as the data's", f"{options.data.name} without drive {drive.name}")
    seen = FolderDataset.open(options.data, "train").without(drive.pattern)
    write_bundle(load_checkpoint(checkpoint), seen, label, folder / "bundle", print)


if __name__ == "__main__":
    sys.exit(resumable("make train-drives", main))
