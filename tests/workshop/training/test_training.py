import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from narrows.contract.errors import ConfigError, DatasetError, DeviceMissing, PictureError, WeightsMismatch
from narrows.models.dataset import ClassList, FolderDataset
from narrows.models.training import pseudo_labels as pseudo_labels_module
from narrows.models.training.config import TrainingConfig, phases_for
from narrows.models.training.labellers import labeller_of_run, trained_labeller
from narrows.models.training.loop import train
from narrows.models.training.loss import class_weights, soft_jaccard_loss
from narrows.models.training.origin import LABELLED_BY
from narrows.models.training.pseudo_labels import pseudo_labels, write_pseudo_labels
from narrows.models.training.run import load_checkpoint
from tests.workshop.training.small_run import config, progress


def test_training_learns_what_can_be_learned(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    train(config(data, 16), tmp_path / "run", said.append)
    records = progress(tmp_path / "run")
    assert records[-1]["task"] < records[0]["task"]
    assert "min left" in said[-1]


def test_an_interrupted_training_resumes_to_the_very_same_numbers(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    train(config(data, 4), tmp_path / "whole", said.append)
    whole = progress(tmp_path / "whole")

    interrupted = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        train(config(data, 4), interrupted, interrupt_after(2))
    train(config(data, 4), interrupted, said.append)
    drop_time = [{k: v for k, v in record.items() if k != "seconds"} for record in progress(interrupted)]
    assert drop_time == [{k: v for k, v in record.items() if k != "seconds"} for record in whole]


def interrupt_after(epochs: int) -> Callable[[str], None]:
    def say(line: str) -> None:
        if line.startswith(f"epoch {epochs}/"):
            raise KeyboardInterrupt

    return say


def test_a_checkpoint_opens_as_the_averaged_network(data: Path, tmp_path: Path) -> None:
    checkpoint = train(config(data, 1), tmp_path / "run", lambda _: None)
    network = load_checkpoint(checkpoint)
    assert network.shape.levels == 2
    assert not network.training


def test_the_config_is_kept_beside_the_checkpoint(data: Path, tmp_path: Path) -> None:
    train(config(data, 1), tmp_path / "run", lambda _: None)
    assert TrainingConfig.read(tmp_path / "run" / "config.json") == config(data, 1)


def test_rare_classes_weigh_more_and_the_mean_is_one() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[0, 0] = 1
    weights = class_weights([labels], 2)
    assert weights[1] > weights[0]
    assert float(weights @ torch.tensor([0.99, 0.01])) == pytest.approx(1, rel=1e-5)


def test_most_of_an_epoch_plan_may_run_at_two_thirds_of_the_size() -> None:
    small, full = phases_for((480, 360), 45, 20)
    assert (small.size, small.epochs) == ((320, 240), 45)
    assert (full.size, full.epochs) == ((480, 360), 20)


def test_the_overlap_loss_is_one_minus_the_mean_iou_of_hard_answers() -> None:
    labels = torch.tensor([[[0, 0, 1, 1, 2, 9]]])
    answer = torch.tensor([[[0, 1, 1, 1, 2, 2]]])
    probability = torch.nn.functional.one_hot(answer, 4).permute(0, 3, 1, 2).float()
    assert float(soft_jaccard_loss(probability, labels, 9)) == pytest.approx(1 - (1 / 2 + 2 / 3 + 1) / 3)


def test_the_overlap_loss_of_nothing_known_is_nothing() -> None:
    probability = torch.full((1, 2, 2, 2), 0.5, requires_grad=True)
    loss = soft_jaccard_loss(probability, torch.full((1, 2, 2), 9), 9)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0


def test_a_student_comes_closer_to_its_teacher(data: Path, tmp_path: Path) -> None:
    train(config(data, 6), tmp_path / "teacher", lambda _: None)
    taught = replace(config(data, 6), teacher=tmp_path / "teacher", feature_share=1.0)
    train(taught, tmp_path / "student", lambda _: None)
    losses = [record["loss"] - record["task"] for record in progress(tmp_path / "student")]
    assert losses[-1] < losses[0]


def test_a_run_of_another_shape_is_not_resumed(data: Path, tmp_path: Path) -> None:
    train(config(data, 1), tmp_path / "run", lambda _: None)
    with pytest.raises(ConfigError, match="latent_channels"):
        train(replace(config(data, 2), latent_channels=5), tmp_path / "run", lambda _: None)


def test_a_device_that_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(DeviceMissing, match="--device cpu"):
        train(replace(config(data, 1), device="cuda"), tmp_path / "run", lambda _: None)


def test_pseudo_labels_are_a_folder_to_train_on(data: Path, tmp_path: Path) -> None:
    network = load_checkpoint(train(config(data, 2), tmp_path / "run", lambda _: None))
    classes = ClassList.read(data / "classes.json")
    out = tmp_path / "more"
    count = write_pseudo_labels(
        trained_labeller(network),
        classes,
        data / "images/train",
        out,
        split="extra",
        confidence=0.4,
        say=lambda _: None,
        learnt="run first",
    )
    labelled = FolderDataset.open(out, "extra")
    assert (count, len(labelled)) == (4, 4)
    assert (out / LABELLED_BY).read_text() == "run first\n"
    train(replace(config(out, 1), split="extra"), tmp_path / "again", lambda _: None)


def test_labels_that_a_kill_ended_early_are_not_taken_for_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes, out = ClassList.read(data / "classes.json"), tmp_path / "out"

    def killed(path: Path, content: str) -> None:
        path.write_text(content)
        raise KeyboardInterrupt

    def label() -> None:
        labeller, pictures = (lambda _: torch.zeros(2, 48, 64)), data / "images/train"
        write_pseudo_labels(labeller, classes, pictures, out, split="train", confidence=0.0, learnt="run first")

    monkeypatch.setattr(pseudo_labels_module, "write_file", killed)
    with pytest.raises(KeyboardInterrupt):
        label()
    monkeypatch.undo()
    assert not (out / "train.txt").exists(), "who looks for the listing finds a folder to train on"
    label()
    assert len(FolderDataset.open(out, "train")) == 4


def test_a_folder_that_cannot_be_labelled_is_named_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    classes, out = ClassList.read(data / "classes.json"), tmp_path / "out"

    def label(pictures: Path) -> None:
        write_pseudo_labels(lambda _: torch.zeros(2, 48, 64), classes, pictures, out, split="train", confidence=0.0)

    with pytest.raises(DatasetError, match="nowhere is no folder"):
        label(tmp_path / "nowhere")
    (data / "images/train/s1.jpg").write_bytes((data / "images/train/s1.png").read_bytes())
    with pytest.raises(DatasetError, match=r"s1\.jpg and s1\.png would be one sample"):
        label(data / "images/train")
    assert not out.exists()


@pytest.mark.parametrize("names", [["bright", "dark", "void"], ["road", "sky", "void"]])
def test_as_many_classes_of_another_order_or_other_names_are_not_the_same(
    names: list[str], data: Path, tmp_path: Path
) -> None:
    run, listing = tmp_path / "run", data / "classes.json"
    train(config(data, 1), run, lambda _: None)
    labeller_of_run(run, ClassList.read(listing), data)
    listing.write_text(json.dumps(json.loads(listing.read_text()) | {"classes": names}))
    with pytest.raises(WeightsMismatch, match=f"run segments 2 classes, dark, bright; .* {names[0]}, {names[1]}"):
        labeller_of_run(run, ClassList.read(listing), data)
    with pytest.raises(WeightsMismatch, match="run segments 2 classes"):
        train(replace(config(data, 1), teacher=run), tmp_path / "taught", lambda _: None)


def test_where_the_network_is_not_sure_the_label_is_ignored(data: Path, tmp_path: Path) -> None:
    labeller = trained_labeller(load_checkpoint(train(config(data, 1), tmp_path / "run", lambda _: None)))
    picture, classes = np.zeros((48, 64, 3), np.uint8), ClassList.read(data / "classes.json")
    assert set(np.unique(pseudo_labels(labeller, picture, 1.0, classes))) == {2}


def test_what_is_left_out_is_not_even_read(data: Path, tmp_path: Path) -> None:
    (data / "images/train/s0.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"s0\.png"):
        train(config(data, 1), tmp_path / "all", lambda _: None)
    train(replace(config(data, 1), leave_out="s0"), tmp_path / "three", lambda _: None)


@pytest.mark.parametrize("frozen", [True, False])
def test_norms_keep_their_statistics_where_that_was_asked_for(*, frozen: bool, data: Path, tmp_path: Path) -> None:
    checkpoint = train(replace(config(data, 1), frozen_norms=frozen), tmp_path / "run", lambda _: None)
    statistics = {name: value for name, value in load_checkpoint(checkpoint).named_buffers() if "running" in name}
    fresh = all((value == (1 if "var" in name else 0)).all() for name, value in statistics.items())
    assert fresh == frozen
    weights = load_checkpoint(checkpoint).get_parameter("encoder.trunk.stem.1.weight")
    assert not (weights == 1).all()
