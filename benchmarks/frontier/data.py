"""What networks are trained on, chosen by and judged on: drives, of which one is left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.drives import drives_of
from benchmarks.frontier.plan import Plan
from narrows.contract.errors import ConfigError
from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.training.check import block_names


@dataclass(frozen=True)
class Parts:
    """Samples: to train on, to choose checkpoints by (blocks of the same drives), and the drive that was left out."""

    classes: ClassList
    train: tuple[LabelledPicture, ...]
    held: tuple[LabelledPicture, ...]
    judged: tuple[LabelledPicture, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        width, height = self.classes.size
        return height, width


def read_parts(data: Path, plan: Plan) -> Parts:
    """Read a labelled folder.

    Raises:
        ConfigError: it has no drive of the name that the plan leaves out.
        DatasetError: it cannot be read.
    """
    drives = drives_of(data)
    if plan.leave_out not in {drive.name for drive in drives}:
        raise ConfigError(f"{data} has no drive {plan.leave_out}: it has {', '.join(drive.name for drive in drives)}")
    judged = [sample for drive in drives if drive.name == plan.leave_out for sample in drive]
    others = [sample for drive in drives if drive.name != plan.leave_out for sample in drive]
    checked = set(block_names([sample.name for sample in others], plan.check_share))
    train = [sample for sample in others if sample.name not in checked]
    held = [sample for sample in others if sample.name in checked]
    train, held, judged = (some[: plan.limit or None] for some in (train, held, judged))
    return Parts(drives[0].classes, tuple(train), tuple(held), tuple(judged))
