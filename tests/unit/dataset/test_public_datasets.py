"""Miniature trees in the layouts that Cityscapes and COCO are downloaded in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.errors import DatasetError, PictureError
from narrows.models.dataset import FolderDataset, open_dataset
from narrows.models.dataset.cityscapes import CityscapesDataset
from narrows.models.dataset.coco import NEVER_ANNOTATED, CocoStuffDataset, CocoVocDataset

SHOT = "aachen_000000_000019"


def save(path: Path, values: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    ids = np.array([[7, 26, 0, 33], [24, 23, 4, 11]], np.uint8)
    save(tmp_path / f"leftImg8bit/train/aachen/{SHOT}_leftImg8bit.png", np.full((2, 4, 3), 9, np.uint8))
    save(tmp_path / f"gtFine/train/aachen/{SHOT}_gtFine_labelIds.png", ids)
    save(tmp_path / f"gtFine/train/aachen/{SHOT}_gtFine_color.png", np.zeros((2, 4, 3), np.uint8))
    return tmp_path


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    for number in (139, 285):
        save(tmp_path / f"val2017/{number:012}.jpg", np.full((8, 10, 3), 80, np.uint8))
    counts = [8 * 8, 16]  # columns first: the last two columns
    shapes: list[dict[str, Any]] = [
        {"image_id": 139, "category_id": 1, "iscrowd": 0, "segmentation": [[1, 1, 4, 1, 4, 5, 1, 5]]},
        {"image_id": 139, "category_id": 62, "iscrowd": 0, "segmentation": [[3, 3, 6, 3, 6, 6, 3, 6]]},
        {"image_id": 139, "category_id": 1, "iscrowd": 1, "segmentation": {"counts": counts, "size": [8, 10]}},
        {"image_id": 285, "category_id": 23, "iscrowd": 0, "segmentation": [[0, 0, 5, 0, 5, 5]]},  # a bear
    ]
    images = [{"id": n, "file_name": f"{n:012}.jpg", "width": 10, "height": 8} for n in (139, 285)]
    instances = {"images": images, "annotations": shapes}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_val2017.json").write_text(json.dumps(instances))
    return tmp_path


@pytest.fixture
def stuff(coco: Path) -> Path:
    values = np.full((8, 10), 255, np.uint8)
    values[0], values[1], values[2] = 0, 12, 181  # person, stop sign, wood
    save(coco / "stuffthingmaps/val2017/000000000139.png", values)
    (coco / "labels.txt").write_text("0: unlabeled\n" + "\n".join(f"{n}: name-{n}" for n in range(1, 183)) + "\n")
    return coco


def test_cityscapes_ids_become_the_nineteen_classes(cityscapes: Path) -> None:
    data = CityscapesDataset.open(cityscapes, "train")
    (sample,) = data
    assert len(data.classes.names) == len(data.classes.palette) == 19
    assert sample.name == f"aachen/{SHOT}"
    assert sample.picture.shape == (2, 4, 3)
    called = [data.classes.names[v] if v != data.classes.ignore_index else "" for v in sample.labels.ravel()]
    assert called == ["road", "car", "", "bicycle", "person", "sky", "", "building"]


def test_a_cityscapes_file_that_is_missing_or_wrong_is_named(cityscapes: Path) -> None:
    path = cityscapes / f"gtFine/train/aachen/{SHOT}_gtFine_labelIds.png"
    data = CityscapesDataset.open(cityscapes, "train")
    save(path, np.full((2, 4), 77, np.uint8))
    with pytest.raises(DatasetError, match=f"{SHOT}_gtFine_labelIds.png has label id 77"):
        data.read(data.names[0])
    save(path, np.zeros((3, 4), np.uint8))
    with pytest.raises(DatasetError, match="sizes must agree"):
        data.read(data.names[0])
    path.unlink()
    with pytest.raises(PictureError, match=f"{SHOT}_gtFine_labelIds.png is missing"):
        data.read(data.names[0])
    with pytest.raises(DatasetError, match="leftImg8bit/val"):
        CityscapesDataset.open(cityscapes, "val")


def test_cocos_shapes_become_vocs_classes(coco: Path) -> None:
    data = CocoVocDataset.open(coco, "val")
    (sample,) = data
    names = data.classes.names
    assert len(names) == 21
    assert data.names == ("000000000139",)
    assert names[sample.labels[2, 2]] == "person"
    assert names[sample.labels[4, 4]] == "chair"
    assert names[sample.labels[7, 0]] == "background"
    assert (sample.labels[:, 8:] == data.classes.ignore_index).all()


def test_outlines_of_a_picture_of_another_size_are_refused(coco: Path) -> None:
    save(coco / "val2017/000000000139.jpg", np.full((10, 8, 3), 80, np.uint8))  # turned by its EXIF, say
    with pytest.raises(DatasetError, match=r"139.jpg is, upright, \(8, 10\); its outlines are for \(10, 8\)"):
        CocoVocDataset.open(coco, "val").read("000000000139")


def test_a_coco_file_that_is_missing_or_broken_is_named(coco: Path) -> None:
    data = CocoVocDataset.open(coco, "val")
    (coco / "val2017/000000000139.jpg").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"000000000139.jpg is no picture"):
        data.read("000000000139")
    path = coco / "annotations/instances_val2017.json"
    path.write_text('{"images": [], "annotations": [{}]}')
    with pytest.raises(DatasetError, match=r"instances_val2017.json is no COCO instances file: .*image_id"):
        CocoVocDataset.open(coco, "val")
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(DatasetError, match="no picture with one of VOC's 20 classes"):
        CocoVocDataset.open(coco, "val")
    with pytest.raises(DatasetError, match=r"instances_train2017.json is missing"):
        CocoVocDataset.open(coco, "train")


def test_a_broken_outline_names_its_picture(coco: Path) -> None:
    path = coco / "annotations/instances_val2017.json"
    raw = json.loads(path.read_text())
    raw["annotations"][2]["segmentation"]["counts"] = [3, 4]
    path.write_text(json.dumps(raw))
    with pytest.raises(DatasetError, match=r"000000000139.jpg: an outline"):
        CocoVocDataset.open(coco, "val").read("000000000139")


@pytest.mark.parametrize(
    "outline", ['{"counts": [70, 10000000000]}', '{"counts": "abc"}', "[[1e300, 1, 2, 3]]", "[[1, 2, 3]]", "3", "{}"]
)
def test_an_outline_that_is_none_is_named_whatever_its_numbers(coco: Path, outline: str) -> None:
    path = coco / "annotations/instances_val2017.json"
    raw = json.loads(path.read_text())
    raw["annotations"][2]["segmentation"] = json.loads(outline)
    path.write_text(json.dumps(raw))
    with pytest.raises(DatasetError, match=r"000000000139.jpg: an outline"):
        CocoVocDataset.open(coco, "val").read("000000000139")


@pytest.mark.parametrize("text", ["NaN", "[" * 5000, '{"images": 3}', '{"images": [{"id": 1e999}], "annotations": []}'])
def test_an_instances_file_of_any_bytes_is_named(coco: Path, text: str) -> None:
    (coco / "annotations/instances_val2017.json").write_text(text)
    with pytest.raises(DatasetError, match="is no COCO instances file"):
        CocoVocDataset.open(coco, "val")


def test_a_crowd_lies_below_what_was_outlined_alone_wherever_the_file_has_it(coco: Path) -> None:
    path = coco / "annotations/instances_val2017.json"
    instances = json.loads(path.read_text())
    crowd = {"image_id": 139, "category_id": 1, "iscrowd": 1, "segmentation": {"counts": [0, 80], "size": [8, 10]}}
    for annotations in ([crowd, *instances["annotations"]], [*instances["annotations"], crowd]):
        path.write_text(json.dumps(instances | {"annotations": annotations}))
        (sample,) = CocoVocDataset.open(coco, "val")
        assert (sample.labels[2, 2], sample.labels[5, 5], sample.labels[0, 0]) == (15, 9, 255)


def test_stuff_is_numbered_without_gaps(stuff: Path) -> None:
    data = CocoStuffDataset.open(stuff, "val")
    (sample,) = data
    assert len(data.classes.names) == 182 - len(NEVER_ANNOTATED) == 171
    assert [data.classes.names[sample.labels[row, 0]] for row in range(3)] == ["name-1", "name-13", "name-182"]
    assert (sample.labels[3:] == data.classes.ignore_index).all()


def test_a_stuff_file_that_is_missing_or_wrong_is_named(stuff: Path) -> None:
    path = stuff / "stuffthingmaps/val2017/000000000139.png"
    save(path, np.full((8, 10), 11, np.uint8))
    with pytest.raises(DatasetError, match=r"000000000139.png has value 11: id 12 is no class"):
        CocoStuffDataset.open(stuff, "val").read("000000000139")
    (stuff / "labels.txt").write_text("1 person\n")
    with pytest.raises(DatasetError, match=r"labels.txt is not COCO-Stuff's"):
        CocoStuffDataset.open(stuff, "val")
    (stuff / "labels.txt").write_text("1: person\n")
    with pytest.raises(DatasetError, match=r"labels.txt does not name id 2"):
        CocoStuffDataset.open(stuff, "val")
    (stuff / "labels.txt").unlink()
    with pytest.raises(DatasetError, match=r"labels.txt is missing"):
        CocoStuffDataset.open(stuff, "val")
    with pytest.raises(DatasetError, match="stuffthingmaps/train2017 has no label maps"):
        CocoStuffDataset.open(stuff, "train")


def test_a_folder_is_opened_by_what_lies_in_it(cityscapes: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert isinstance(open_dataset(cityscapes, "train"), CityscapesDataset)
    samples = Path(__file__).parents[3] / "samples"
    assert isinstance(open_dataset(samples, "val"), FolderDataset)
    with pytest.raises(DatasetError, match=r"has no classes.json"):
        open_dataset(tmp_path_factory.mktemp("empty"), "train")


def test_coco_is_opened_as_stuff_where_its_label_maps_are(coco: Path) -> None:
    assert isinstance(open_dataset(coco, "val"), CocoVocDataset)


def test_coco_with_label_maps_is_stuff(stuff: Path) -> None:
    assert isinstance(open_dataset(stuff, "val"), CocoStuffDataset)
