"""One training in a run folder: another command, other options, a second process and a full disk are named."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.contract.errors import ConfigError, DatasetError, FileUnwritable, TrainingDiverged, WeightsMismatch
from narrows.models.dataset import FolderDataset
from narrows.models.nn.stored import read_stored, write_stored
from narrows.models.training.config import TrainingConfig, phases_for
from narrows.models.training.loop import train
from narrows.models.training.run import CHECKPOINT
from narrows.models.training.run_folder import CONFIG, keep_settings, locked
from narrows.runtime.writing import write_file

FULL = Path("/dev/full")


def config(data: Path) -> TrainingConfig:
    return TrainingConfig(
        data, "train", None, phases=phases_for((64, 48), 1, 0), batch=2, latent_channels=4, prices=(0.5,), threads=1
    )


@pytest.fixture
def trained(data: Path, tmp_path: Path) -> Path:
    return train(config(data), tmp_path / "run", lambda _: None).parent


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"learning_rate": 0.5}, "learning_rate 0.0012, now 0.5"),
        ({"seed": 4}, "seed 20260720, now 4"),
        ({"quantisation_aware": True}, "quantisation_aware False, now True"),
    ],
)
def test_a_run_does_not_go_on_with_other_options(trained: Path, data: Path, other: dict[str, float], told: str) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    with pytest.raises(ConfigError, match=told):
        train(replace(config(data), **other), trained, lambda _: None)  # type: ignore[arg-type]  # of any field
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_a_run_from_before_an_option_goes_on_as_it_was(trained: Path, data: Path) -> None:
    held = json.loads((trained / CONFIG).read_text())
    del held["bad_share"], held["average_decay"]
    (trained / CONFIG).write_text(json.dumps(held))
    with pytest.raises(ConfigError, match=r"bad_share 0\.0, now 0\.5"):
        train(config(data), trained, lambda _: None)
    with pytest.raises(ConfigError, match=r"average_decay 0\.995, now 0\.5"):
        train(replace(config(data), bad_share=0.0, average_decay=0.5), trained, lambda _: None)
    train(replace(config(data), bad_share=0.0), trained, lambda _: None)


def test_a_run_goes_on_for_longer(trained: Path, data: Path) -> None:
    train(replace(config(data), phases=phases_for((64, 48), 2, 0), batch=4), trained, lambda _: None)
    assert TrainingConfig.read(trained / CONFIG).batch == 4


def test_a_run_does_not_go_on_with_other_classes(trained: Path, data: Path) -> None:
    path = data / "classes.json"
    path.write_text(path.read_text().replace("bright", "road"))
    with pytest.raises(ConfigError, match="classes"):
        train(config(data), trained, lambda _: None)


def test_a_run_of_no_epochs_is_no_run(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no epochs at all"):
        train(replace(config(data), phases=phases_for((64, 48), 0, 0)), tmp_path / "run", lambda _: None)


def test_two_trainings_do_not_share_a_run_folder(trained: Path, data: Path) -> None:
    with locked(trained), pytest.raises(ConfigError, match="another process trains in this run folder"):
        train(config(data), trained, lambda _: None)
    train(config(data), trained, lambda _: None)


def test_a_teacher_of_other_classes_is_named(data: Path, tmp_path: Path) -> None:
    taught = replace(config(data), teacher=Path("bundles/demo"))
    with pytest.raises(WeightsMismatch, match=r"bundles/demo segments 11 classes, .* has 2"):
        train(taught, tmp_path / "taught", lambda _: None)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_there(trained: Path, data: Path) -> None:
    before = (trained / CHECKPOINT).read_bytes()
    broken = replace(config(data), phases=phases_for((64, 48), 3, 0), batch=1)
    state = torch.load(trained / CHECKPOINT, weights_only=True)  # noqa: TID251
    state["network"]["gains.log_gain"].fill_(torch.nan)
    write_stored(state, trained / CHECKPOINT)
    before = (trained / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingDiverged, match="the loss became nan: lower --learning-rate"):
        train(broken, trained, lambda _: None)
    assert (trained / CHECKPOINT).read_bytes() == before


@given(st.dictionaries(st.text(min_size=1), st.integers(-(1 << 52), 1 << 52), min_size=1), st.data())
def test_what_may_not_change_is_refused_once_begun(
    tmp_path_factory: pytest.TempPathFactory, asked: dict[str, int], draw: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run") / CONFIG
    keep_settings(path, asked, begun=False)
    name = draw.draw(st.sampled_from(sorted(asked)))
    other = asked | {name: asked[name] + 1}
    with pytest.raises(ConfigError, match="was begun with"):
        keep_settings(path, other, begun=True)
    keep_settings(path, other, may_change=frozenset({name}), begun=True)
    keep_settings(path, asked, begun=False)
    with pytest.raises(ConfigError, match="another command's"):
        keep_settings(path, {each: value for each, value in asked.items() if each != name}, begun=False)


def test_a_training_without_a_record_is_no_run_of_this_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no compression\.json of this command"):
        keep_settings(tmp_path / "compression.json", {}, begun=True)


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / CHECKPOINT
    write_stored({"weight": torch.ones(2)}, path)

    def refuse(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(FileUnwritable, match=f"{path} cannot be written: No space left"):
        write_stored({"weight": torch.zeros(2)}, path)
    assert read_stored(path, "weight").values["weight"].tolist() == [1, 1]
    assert [each.name for each in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_device_is_written_to_and_not_replaced() -> None:
    with pytest.raises(FileUnwritable, match=f"{FULL} cannot be written: No space left"):
        write_file(FULL, "text")
    write_file(Path("/dev/null"), "text")
    assert FULL.is_char_device()


def test_pictures_of_which_no_pixel_has_a_class_are_named(data: Path, tmp_path: Path) -> None:
    for path in (data / "labels/train").iterdir():
        Image.fromarray(np.full((48, 64), 2, np.uint8)).save(path)
    with pytest.raises(DatasetError, match="all have the ignored label"):
        train(config(data), tmp_path / "run", lambda _: None)


@pytest.mark.parametrize(("listed", "told"), [(b"s0\ns1\ns0\n", "lists s0 twice"), (b"\xff\n", "no UTF-8")])
def test_a_listing_that_cannot_be_meant_is_named(data: Path, listed: bytes, told: str) -> None:
    (data / "train.txt").write_bytes(listed)
    with pytest.raises(DatasetError, match=rf"train\.txt .*{told}"):
        FolderDataset.open(data, "train")


def test_pictures_of_another_size_than_the_list_of_classes_says_are_named(data: Path, tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        path = data / kind / "train" / "s2.png"
        Image.open(path).resize((128, 96)).save(path)  # noqa: TID251 -- written by a test
    with pytest.raises(DatasetError, match=r"s2 is 128x96, .*classes\.json says 64x48"):
        train(config(data), tmp_path / "run", lambda _: None)
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_a_drive_that_is_misspelt_on_the_command_line_is_not_trained_on(data: Path, tmp_path: Path) -> None:
    asked = ["train", "--data", str(data), "--run", str(tmp_path / "run"), "--leave-out", "s_0"]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 1
    assert "no sample that matches 's_0' in any split" in told.output
    assert not (tmp_path / "run").exists()
    already = replace(config(data), leave_out="gone_*")  # by code, of a folder that was made without it
    train(already, tmp_path / "run", lambda _: None)
