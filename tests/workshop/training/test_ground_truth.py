"""A teacher's labels are corrected where people labelled a picture, in the classes that are named, nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.outputs.classes import CITYSCAPES_TO_CAMVID
from narrows.contract.errors import DatasetError
from narrows.models.dataset import ClassList
from narrows.models.training.ground_truth import GroundTruth

TEACHER = ClassList(("road", "traffic_light", "traffic_sign", "pole"), 4, (4, 1), ((0, 0, 0),) * 4)
SAME = {"traffic_light": "sign", "traffic_sign": "sign", "pole": "pole"}
ROAD, LIGHT, SIGN, POLE, IGNORED = range(5)
OUR_GROUND, OUR_SIGN, OUR_POLE, UNLABELLED = range(4)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A labelled folder of one picture: ground, sign, pole and nothing."""
    folder = tmp_path / "people"
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    Image.new("RGB", (4, 1)).save(folder / "images/train/a.png")
    labels = np.array([[OUR_GROUND, OUR_SIGN, OUR_POLE, UNLABELLED]], np.uint8)
    Image.fromarray(labels).save(folder / "labels/train/a.png")
    (folder / "train.txt").write_text("a\n")
    listing = {"classes": ["ground", "sign", "pole", "unlabelled"], "ignore_index": 3, "size": [4, 1]}
    (folder / "classes.json").write_text(json.dumps(listing | {"palette": [[0, 0, 0]] * 4}))
    return folder


def opened(people: Path, same: object) -> GroundTruth:
    path = people / "same.json"
    path.write_text(json.dumps(same))
    return GroundTruth.open(people, "train", path, TEACHER)


@pytest.mark.parametrize(
    ("teacher", "corrected"),
    [
        ([POLE, POLE, SIGN, ROAD], [POLE, LIGHT, POLE, ROAD]),
        ([ROAD, SIGN, POLE, SIGN], [ROAD, SIGN, POLE, SIGN]),
        ([IGNORED, IGNORED, IGNORED, IGNORED], [IGNORED, LIGHT, POLE, IGNORED]),
    ],
    ids=["wrong where people labelled", "right already", "not sure"],
)
def test_only_what_people_labelled_as_a_named_class_changes(
    people: Path, teacher: list[int], corrected: list[int]
) -> None:
    truth = opened(people, SAME)
    assert truth.correct("a", np.array([teacher], np.uint8)).tolist() == [corrected]
    assert truth.correct("a", np.array([teacher], np.uint8)).dtype == np.uint8


def test_a_picture_that_nobody_labelled_stays(people: Path) -> None:
    labels = np.array([[ROAD, ROAD]], np.uint8)
    assert opened(people, SAME).correct("b", labels) is labels


def test_labels_of_another_size_are_refused(people: Path) -> None:
    with pytest.raises(DatasetError, match="labels of"):
        opened(people, SAME).correct("a", np.zeros((2, 4), np.uint8))


@pytest.mark.parametrize(
    ("same", "message"),
    [
        ({"lamp": "sign"}, "'lamp', which is no class"),
        ({"pole": "post"}, "'post', which is no class"),
        (["pole"], "no JSON object"),
        ({"pole": 1}, "no JSON object"),
    ],
)
def test_names_that_are_no_classes_are_named(people: Path, same: object, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        opened(people, same)


def test_the_classes_that_the_demos_head_takes_from_people_are_those_that_the_benchmark_maps() -> None:
    folder = Path(__file__).parents[3] / "benchmarks/outputs/cityscapes"
    same = json.loads((folder / "same_classes.json").read_text())
    assert same.items() <= CITYSCAPES_TO_CAMVID.items()
    assert set(CITYSCAPES_TO_CAMVID) == set(ClassList.read(folder / "classes.json").names)
