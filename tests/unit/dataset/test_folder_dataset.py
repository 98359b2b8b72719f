import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.contract.errors import DatasetError, PictureError
from narrows.models.dataset import FolderDataset

CLASSES = {
    "classes": ["road", "car", "void"],
    "ignore_index": 2,
    "size": [32, 24],
    "palette": [[1, 2, 3], [4, 5, 6], [0, 0, 0]],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    (tmp_path / "train.txt").write_text("a\nb\n")
    for name, suffix in (("a", "jpg"), ("b", "png")):
        Image.new("RGB", (32, 24), (9, 9, 9)).save(tmp_path / f"images/train/{name}.{suffix}")
        Image.fromarray(np.array([[0, 1, 2] * 8] * 24, np.uint8)).resize((32, 24), 0).save(
            tmp_path / f"labels/train/{name}.png"
        )
    return tmp_path


def test_samples_come_in_the_lists_order_as_rgb_and_labels(root: Path) -> None:
    samples = list(FolderDataset.open(root, "train"))
    assert [s.name for s in samples] == ["a", "b"]
    assert samples[0].picture.shape == (24, 32, 3)
    assert set(np.unique(samples[1].labels)) == {0, 1, 2}


def test_the_ignored_class_is_not_one_of_the_classes(root: Path) -> None:
    classes = FolderDataset.open(root, "train").classes
    assert classes.names == ("road", "car")
    assert classes.palette == ((1, 2, 3), (4, 5, 6))


def test_an_unknown_split_is_named_with_those_that_exist(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"no split 'val' here \(splits found: train\)"):
        FolderDataset.open(root, "val")


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        (lambda root: (root / "classes.json").unlink(), "classes.json is missing"),
        (lambda root: (root / "classes.json").write_text("{"), "is no JSON"),
        (lambda root: (root / "classes.json").write_text("{}"), "missing required field"),
        (lambda root: (root / "classes.json").write_text(json.dumps(CLASSES | {"size": [10**30, 1]})), "64 bits"),
        (lambda root: (root / "classes.json").write_text(json.dumps(CLASSES | {"size": [float("nan"), 1]})), "finite"),
        (lambda root: (root / "classes.json").write_text(json.dumps(CLASSES | {"palette": []})), "0 colours"),
        (lambda root: (root / "classes.json").write_text(json.dumps(CLASSES | {"ignore_index": 0})), "after the real"),
        (lambda root: (root / "train.txt").write_text("\n"), "lists no sample"),
        (lambda root: (root / "images/train/a.jpg").unlink(), "a.jpg .* is missing"),
        (lambda root: (root / "images/train/a.jpg").write_bytes(b"no picture"), "a.jpg is no picture"),
        (lambda root: (root / "labels/train/a.png").unlink(), "a.png is missing"),
        (lambda root: Image.new("L", (8, 8)).save(root / "labels/train/a.png"), "sizes must agree"),
        (lambda root: Image.new("L", (32, 24), 7).save(root / "labels/train/a.png"), "label 7"),
    ],
)
def test_a_broken_tree_is_refused_by_the_files_name(
    root: Path, breakage: Callable[[Path], object], message: str
) -> None:
    breakage(root)
    with pytest.raises((DatasetError, PictureError), match=message):
        list(FolderDataset.open(root, "train"))


def test_a_drive_can_be_left_out_and_seen_alone(root: Path) -> None:
    (root / "train.txt").write_text("one_1\ntwo_1\ntwo_2\n")
    every = FolderDataset.open(root, "train")
    assert every.without("two_*").names == ("one_1",)
    assert every.only("two_*").names == ("two_1", "two_2")


def test_a_drive_that_is_misspelt_is_not_seen_in_silence(root: Path) -> None:
    (root / "train.txt").write_text("one_1\ntwo_1\n")
    (root / "val.txt").write_text("three_1\n")
    every = FolderDataset.open(root, "train")
    assert every.without("four_*", None).names == every.names
    assert every.without_named("three_*").names == every.names  # of another split, so never seen anyhow
    assert every.without_named(None) == every
    assert every.without_named("two_*").names == ("one_1",)
    with pytest.raises(DatasetError, match="no sample that matches 'two' in any split: nothing would be left out"):
        every.without_named("two")


def test_a_pattern_that_leaves_nothing_is_named(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"no sample is left without '\*'; the first is 'a'"):
        FolderDataset.open(root, "train").without("*")
    with pytest.raises(DatasetError, match="no sample matches 'c_"):
        FolderDataset.open(root, "train").only("c_*")
