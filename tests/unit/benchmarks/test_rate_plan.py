"""The rate table is of one encoder and one plan: what stands in its run folder is not mixed with another's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rate.plan import Plan, RunFolder
from narrows.contract.errors import ConfigError

CLASSES, PICTURES = ("road", "sky"), "digest of pictures"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"an encoder")
    return path


@pytest.fixture
def begun(tmp_path: Path, checkpoint: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "rate")
    folder.make()
    Plan().keep(folder, checkpoint, CLASSES, PICTURES)
    folder.weights("joint-1").write_bytes(b"a head")
    return folder


def test_a_run_that_goes_on_has_its_plan(begun: RunFolder, checkpoint: Path) -> None:
    Plan().keep(begun, checkpoint, CLASSES, PICTURES)
    assert Plan.read(begun.root) == Plan()


def test_a_folder_without_a_plan_is_told_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no plan.json: run `make train-rate-table` first"):
        Plan.read(tmp_path)


def test_heads_of_another_encoder_are_not_taken_for_this_ones(begun: RunFolder, checkpoint: Path) -> None:
    checkpoint.write_bytes(b"a better encoder")
    with pytest.raises(ConfigError, match="was begun with checkpoint"):
        Plan().keep(begun, checkpoint, CLASSES, PICTURES)


def test_heads_of_other_pictures_are_not_taken_for_these_ones(begun: RunFolder, checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="was begun with pictures"):
        Plan().keep(begun, checkpoint, CLASSES, "of others")


def test_short_trainings_are_not_taken_for_long_ones(begun: RunFolder, checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="head_steps 1200, now 6"):
        replace(Plan(), head_steps=6).keep(begun, checkpoint, CLASSES, PICTURES)
    assert Plan.read(begun.root).head_steps == 1200


@pytest.mark.parametrize(
    "kept", [RunFolder.weights, RunFolder.graph, RunFolder.tables, RunFolder.width], ids=lambda kept: kept.__name__
)
def test_no_file_that_is_taken_as_it_stands_outlives_its_encoder(
    kept: Callable[[RunFolder, str], Path], tmp_path: Path, checkpoint: Path
) -> None:
    folder = RunFolder(tmp_path / "rate")
    folder.make()
    Plan().keep(folder, checkpoint, CLASSES, PICTURES)
    kept(folder, "separate_lraspp").write_bytes(b"of the first encoder")
    checkpoint.write_bytes(b"a better encoder")
    with pytest.raises(ConfigError, match="was begun with checkpoint"):
        Plan().keep(folder, checkpoint, CLASSES, PICTURES)


def test_before_anything_is_trained_the_plan_may_change(tmp_path: Path, checkpoint: Path) -> None:
    folder = RunFolder(tmp_path / "fresh")
    folder.make()
    Plan().keep(folder, checkpoint, CLASSES, PICTURES)
    Plan.quick().keep(folder, checkpoint, CLASSES, PICTURES)
    assert Plan.read(folder.root) == Plan.quick()
