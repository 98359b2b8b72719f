"""The trained networks of a fold, each as the graph that is judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.prompt.folds import Role, run_of, sources
from narrows.contract.errors import ConfigError, RecordError
from narrows.models.promptable.export import export_sensor
from narrows.models.promptable.export.graphs import write_float
from narrows.models.promptable.export.write import FLOAT, INT8
from narrows.models.promptable.run import Trained, load_trained
from narrows.models.training.run import CHECKPOINT
from narrows.models.training.run_folder import CONFIG, read_settings

FLOAT_ALONE, INT8_ALONE = "float", "int8"


@dataclass(frozen=True)
class Network:
    """``by`` stands in the table: `float` and `int8` are the student that learnt from labels alone."""

    by: str
    fold: int
    epochs: int
    graph: Path


def networks_of(fold: int, data: Path, runs: Path, *, fully: bool = True) -> Iterator[Network]:
    """Those that stand and, where ``fully``, are trained to their end: a graph is written where weights are newer.

    Raises:
        ConfigError: a run folder holds a network that has seen the fold, or no settings.
        RecordError: its settings are damaged.
    """
    for role in Role:
        run = run_of(runs, fold, role)
        if not (run / CHECKPOINT).is_file():
            continue
        trained = load_trained(run)
        if trained.fold != fold:
            left_out = "no fold" if trained.fold is None else f"fold {trained.fold}"
            raise ConfigError(f"{run} left out {left_out}, so it has seen fold {fold}, on which it would be judged")
        if fully and trained.epochs < (asked := _epochs_asked(run)):
            print(f"{run}: {trained.epochs} of {asked} epochs, so it is not judged yet: `make train-prompt`")
        else:
            yield from _written(trained, fold, role, run, data)


def _epochs_asked(run: Path) -> int:
    path = run / CONFIG
    if not path.is_file():
        raise ConfigError(f"{run} has no {CONFIG}: nothing tells how long it was to be trained")
    epochs = read_settings(path).get("epochs")
    if not isinstance(epochs, int):
        raise RecordError(f"{path}: epochs is {epochs!r}, no number of them")
    return epochs


def _written(trained: Trained, fold: int, role: Role, run: Path, data: Path) -> Iterator[Network]:
    folder = run / "sensor"
    if role is not Role.ALONE:
        folder.mkdir(exist_ok=True)
        if _is_stale(folder / FLOAT, run):
            write_float(trained, folder / FLOAT)
        yield Network(role.value, fold, trained.epochs, folder / FLOAT)
        return
    if _is_stale(folder / INT8, run):
        export_sensor(trained, sources(data), folder)
    yield Network(FLOAT_ALONE, fold, trained.epochs, folder / FLOAT)
    yield Network(INT8_ALONE, fold, trained.epochs, folder / INT8)


def _is_stale(graph: Path, run: Path) -> bool:
    return not graph.is_file() or graph.stat().st_mtime < (run / CHECKPOINT).stat().st_mtime
