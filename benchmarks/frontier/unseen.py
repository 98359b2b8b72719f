"""Whether a network that others trained has seen what is judged: as teacher or as rival it would tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from narrows.contract.errors import ConfigError
from narrows.models.dataset import LabelledPicture
from narrows.models.training.config import TrainingConfig
from narrows.models.training.run_folder import CONFIG


def check_unseen(run: Path, judged: Sequence[LabelledPicture]) -> None:
    """See that the `narrows train` of a run folder left out all that is judged.

    Raises:
        ConfigError: it has seen some, or nothing tells.
        RecordError: its settings are damaged.
    """
    if not (run / CONFIG).is_file():
        raise ConfigError(
            f"{run} has no {CONFIG}: nothing tells what its network has seen; name a `narrows train`'s run"
        )
    left_out = TrainingConfig.read(run / CONFIG).leave_out
    if seen := [each.name for each in judged if left_out is None or not fnmatchcase(each.name, left_out)]:
        raise ConfigError(
            f"the network of {run} has seen {seen[0]}, which is judged: name one of `narrows train --leave-out`"
        )
