"""What the network learns before labels: pictures that no fold is judged on, in the classes of the labelled folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.accuracy import road
from narrows.contract.errors import ConfigError
from narrows.models.dataset import ClassList
from narrows.models.dataset.cityscapes import CLASS_LIST
from narrows.models.training.class_names import read_class_names

SHARED = Path("../shared/data")


def test_every_class_of_the_teacher_is_one_of_the_labelled_folder() -> None:
    names = read_class_names(road.AS_CLASSES)
    assert set(names) == set(CLASS_LIST.names)
    if (SHARED / "camvid" / "classes.json").is_file():
        assert set(names.values()) == set(ClassList.read(SHARED / "camvid" / "classes.json").names)


def test_no_picture_is_of_the_drives_that_are_judged() -> None:
    assert not [place for place in (*road.VIDEOS, *road.PHOTOGRAPHS) if "camvid" in place]


def test_labels_in_other_classes_are_not_gone_on_with(data: Path) -> None:
    classes = ClassList.read(data / "classes.json")
    assert road.is_labelled(data, classes)
    for other in (replace(classes, names=("bright", "dark")), replace(classes, size=(480, 360))):
        with pytest.raises(ConfigError, match="is labelled in other classes, or of another size"):
            road.is_labelled(data, other)
    (data / "train.txt").unlink()
    assert not road.is_labelled(data, classes)


@pytest.mark.skipif(not (SHARED / "videos").is_dir(), reason="no shared videos here")
def test_pictures_have_names_of_their_own_and_one_size() -> None:
    pictures = list(road._pictures(SHARED))
    assert len({name for name, _ in pictures}) == len(pictures) > 1000
    assert {road._cropped(picture, (480, 360)).size for _, picture in pictures[::100]} == {(480, 360)}
