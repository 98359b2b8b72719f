"""A drive that is left out is left out of all: of training, of the tables, and of every choice."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy import folds
from benchmarks.accuracy.drives import Drive, drives_of
from narrows.contract.errors import ConfigError
from narrows.models.dataset import FolderDataset
from narrows.models.training.config import TrainingConfig
from narrows.models.training.origin import keep_origin
from tests.workshop.training.small_run import config

CLASSES = '{"classes": ["road"], "ignore_index": 255, "size": [64, 48], "palette": [[0, 0, 0]]}'


@pytest.fixture
def drives(tmp_path: Path) -> list[Drive]:
    (tmp_path / "classes.json").write_text(CLASSES)
    (tmp_path / "train.txt").write_text("x_1\ny_1\ny_2\n")
    (tmp_path / "val.txt").write_text("y_3\nz_1\n")
    return drives_of(tmp_path)


@pytest.mark.parametrize(("number", "seen"), [(0, ["y_1", "y_2"]), (1, ["x_1"]), (2, ["x_1", "y_1", "y_2"])])
def test_a_fold_never_meets_its_drive(
    number: int, seen: list[str], drives: list[Drive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[TrainingConfig] = []
    counted: list[str] = []

    def train(config: TrainingConfig, folder: Path, _say: object) -> Path:
        trained.append(config)
        return folder / "checkpoint.pt"

    def write(_network: object, samples: FolderDataset, *_: Any) -> None:
        counted.extend(samples.names)

    monkeypatch.setattr(folds, "train", train)
    monkeypatch.setattr(folds, "load_checkpoint", lambda _: None)
    monkeypatch.setattr(folds, "write_bundle", write)
    options = Namespace(
        data=tmp_path,
        folds=tmp_path / "folds",
        pretrained=Path("w.pth"),
        begin_from=Path("runs/road"),
        bad_share=0.5,
        epochs=3,
        full_epochs=2,
        threads=1,
    )
    folds._train_fold(drives[number], options)
    (config,) = trained
    learned = FolderDataset.open(tmp_path, config.split).without(config.leave_out)
    assert list(learned.names) == counted == seen
    assert (config.check_share, config.bad_share, config.epochs) == (0.0, 0.5, 5)
    assert (config.begin_from, config.pretrained) == (Path("runs/road"), Path("w.pth"))
    assert config.teacher is None  # which would have seen the drive


@pytest.mark.parametrize("made", ["checkpoint.pt", "bundle/manifest.json"])
def test_folds_of_two_recipes_are_not_mixed(made: str, tmp_path: Path) -> None:
    road = begun(tmp_path / "road", config(tmp_path / "pictures", 1))
    fold = begun(tmp_path / "fold", replace(config(tmp_path / "data", 1), bad_share=0.3))
    folds.check_alike(fold, road, 0.0)  # nothing is trained yet
    (fold / made).parent.mkdir(exist_ok=True)
    (fold / made).touch()
    folds.check_alike(fold, None, 0.3)
    with pytest.raises(ConfigError, match=r"begun_from None, now 'run road, 0 epochs'; name another --folds"):
        folds.check_alike(fold, road, 0.3)
    with pytest.raises(ConfigError, match=r"bad_share 0.3, now 0.0;"):
        folds.check_alike(fold, None, 0.0)
    keep_origin(fold, road, begun=False)
    folds.check_alike(fold, road, 0.3)
    (road / "progress.jsonl").write_text('{"epoch": 4}\n')
    with pytest.raises(ConfigError, match="'run road, 0 epochs', now 'run road, 4 epochs'"):
        folds.check_alike(fold, road, 0.3)


def begun(folder: Path, asked: TrainingConfig) -> Path:
    folder.mkdir()
    asked.write(folder / "config.json")
    return folder
