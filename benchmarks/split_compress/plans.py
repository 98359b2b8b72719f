"""Which networks are compressed, where they are cut, and how long each design is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from benchmarks.split_bits.subjects import Subject, subjects
from narrows.models.bottleneck.settings import Settings
from narrows.models.split.feeding import Normalisation

PRUNED = 0.1
UNMODIFIED, PRUNED_ONLY, PAIR_ONLY, BOTH = "unmodified", "pruned", "encoder pair", "both"
DESIGNS = (UNMODIFIED, PRUNED_ONLY, PAIR_ONLY, BOTH)


@dataclass(frozen=True)
class Plan:
    """A network of the benchmark.

    Attributes:
        subject: the network, its pictures and its judge, as ``bench-split-bits`` has them.
        settings: of the design that is pruned and narrowed; the others leave out a part of it.
        labelled: a folder of labels below the data; else pictures are written for the training.
        share: of the pictures that are judged on.
    """

    subject: Subject
    settings: Settings
    normalisation: Normalisation
    labelled: str | None
    share: float

    def designs(self) -> dict[str, Settings]:
        """By name, those that are trained; behind a pruned cut's pair the cut's own bits cross no more."""
        return {
            PRUNED_ONLY: replace(self.settings, channels=0),
            PAIR_ONLY: replace(self.settings, prune=0.0),
            BOTH: replace(self.settings, bits_weight=0.0),
        }


def plans(data: Path, effort: float = 1.0) -> tuple[Plan, ...]:
    """The classifier behind 64 % of its work, the street network at the cut whose figures stand in the documents.

    ``effort`` is a share of the steps that are planned.
    """
    known = {each.name.split(" ")[0]: each for each in subjects(data)}
    street_cut = tuple(f"{name}_QuantizeLinear_Output" for name in ("hardtanh_32", "hardtanh_33", "add_6"))
    return (
        Plan(
            known["classifier"],
            Settings(("add_5",), PRUNED, channels=96, noise=0.02, steps=round(2400 * effort), batch=4),
            Normalisation((127.0,) * 3, (128.0,) * 3), None, 0.2,
        ),
        Plan(
            known["street"],
            Settings(street_cut, PRUNED, channels=128, learn_from="both", steps=round(800 * effort), batch=2),
            Normalisation(), "camvid", 0.2,
        ),
    )  # fmt: skip


def written_pictures(plan: Plan, data: Path, folder: Path, count: int) -> Path:
    """A folder of those pictures of ``split_bits`` that calibrate: none of them is judged on."""
    if plan.labelled is not None:
        return data / plan.labelled
    folder.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(plan.subject.calibration(data, count)):
        path = folder / f"{number:04}.jpg"
        if not path.is_file():
            Image.fromarray(sample.picture).save(path, quality=95)
    return folder
