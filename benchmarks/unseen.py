"""Whether a network that was trained elsewhere has seen what is judged: as beginning, teacher or rival it would tell.

What it learnt from counts as what it has seen, all the way back::

    run ─┬─ its own samples, less what it left out
         ├─ who labelled them, where a network of this project did      ─► may have seen anything
         └─ --begin-from, --teacher ─┬─ a run ─► asked the same
                                     └─ a bundle, or gone               ─► may have seen anything
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path

from narrows.contract.errors import ConfigError, DatasetError
from narrows.models.dataset import FolderDataset
from narrows.models.training.config import TrainingConfig
from narrows.models.training.origin import LABELLED_BY, Origin
from narrows.models.training.run_folder import CONFIG


def check_unseen(run: Path, judged: Collection[str]) -> None:
    """See that the `narrows train` of a run folder, and all that it learnt from, left out the samples that are judged.

    Args:
        run: its folder.
        judged: names of the samples.

    Raises:
        ConfigError: it has seen some, or may have, or nothing tells.
        RecordError: its settings are damaged.
    """
    asked, known = [run], {run.resolve()}
    while asked:
        here = asked.pop()
        lent = _learnt_from(here, judged, run)
        asked += [each for each in lent if each.resolve() not in known]
        known |= {each.resolve() for each in lent}


def _learnt_from(run: Path, judged: Collection[str], first: Path) -> list[Path]:
    """The runs that a run learnt from; it has seen nothing itself."""
    if not (run / CONFIG).is_file():
        told = "" if run == first else f"{first} learnt from {run}, which may have seen what is judged: "
        raise ConfigError(
            f"{told}{run} has no {CONFIG}: nothing tells what its network has seen; name a `narrows train`'s run"
        )
    config = TrainingConfig.read(run / CONFIG)
    if seen := _seen(config, judged):
        raise ConfigError(
            f"the network of {run} has seen {seen}, which is judged: name one of `narrows train --leave-out`"
        )
    lent = [each for each in (config.begin_from, config.teacher) if each is not None]
    if unknown := _labeller(config) or _other_beginning(run, config):
        raise ConfigError(f"{run} learnt from {unknown}, which may have seen what is judged: name a run that did not")
    return lent


def _seen(config: TrainingConfig, judged: Collection[str]) -> str | None:
    """The first sample that is judged and was trained on. Of data that are gone, whatever was not left out was."""
    try:
        own: Collection[str] | None = frozenset(FolderDataset.open(config.data, config.split).names)
    except DatasetError:
        own = None
    left_out = config.leave_out
    return next(
        (
            name
            for name in sorted(judged)
            if (own is None or name in own) and (left_out is None or not fnmatchcase(name, left_out))
        ),
        None,
    )


def _labeller(config: TrainingConfig) -> str | None:
    path = config.data / LABELLED_BY
    if not path.is_file():
        return None
    return path.read_text("utf-8", errors="replace").strip() or f"whom {path} does not name"


def _other_beginning(run: Path, config: TrainingConfig) -> str | None:
    """What it began from, if its settings name another: those of a run that goes on are the last that were asked."""
    begun_from = Origin.read(run).begun_from
    told = None if config.begin_from is None else f"run {config.begin_from.name}, "
    return None if begun_from is None or (told is not None and begun_from.startswith(told)) else begun_from
