"""Things come out of every layout, and pictures fall into the same five folds everywhere."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.contract.errors import DatasetError
from narrows.models.promptable.data import Layout, fold_of, in_fold, open_instances, without_fold
from narrows.models.promptable.data.instances import SMALLEST_AREA, instance_of
from narrows.runtime.prompting import Box
from tests.unit.promptable.things import (
    HEIGHT,
    WIDTH,
    disc,
    rectangle,
    thing,
    write_coco_panoptic,
    write_masks,
    write_polygons,
    write_regions,
)


def test_coco_gives_things_without_crowds_stuff_and_what_is_too_small(tmp_path: Path) -> None:
    write_coco_panoptic(tmp_path)
    dataset = open_instances(tmp_path, Layout.COCO_PANOPTIC, "train2017")
    assert dataset.names == ("000000000009",)
    (only,) = dataset.read("000000000009").instances
    assert (only.name, only.box, only.area) == ("000000000009/300", Box(6, 4, 10, 8), 80)


def test_regions_of_both_annotators_are_things_in_16_bits_too(tmp_path: Path) -> None:
    write_regions(tmp_path)
    things = open_instances(tmp_path, Layout.REGIONS, "train").read("100075").instances
    assert [each.name for each in things] == [
        "100075/a/0", "100075/a/1", "100075/b/300", "100075/b/301", "100075/b/302",
    ]  # fmt: skip
    assert sum(each.area for each in things) == 2 * WIDTH * HEIGHT


def test_polygons_of_one_annotation_are_one_thing(tmp_path: Path) -> None:
    write_polygons(tmp_path)
    first, second = open_instances(tmp_path, Layout.POLYGONS, "trainingset").read("train1").instances
    assert first.box == Box(2, 2, 19, 19)
    assert second.box == Box(30, 5, 26, 16)
    assert not second.mask[:, 12:14].any()  # between its pieces


def test_a_mask_beside_its_picture_is_one_thing_and_an_empty_one_none(tmp_path: Path) -> None:
    write_masks(tmp_path)
    dataset = open_instances(tmp_path, Layout.MASKS, "all")
    assert {name: len(dataset.read(name).instances) for name in dataset.names} == {
        "MT_Crack/tile_1": 1,
        "MT_Free/tile_1": 0,
    }
    assert open_instances(tmp_path, Layout.MASKS, "MT_Crack").names == ("MT_Crack/tile_1",)


def test_a_thing_goes_back_to_where_it_was() -> None:
    mask = disc(30, 20, 9)
    found = thing(mask)
    assert np.array_equal(found.whole(WIDTH, HEIGHT), mask)


def test_fifty_pixels_are_too_small_to_be_tapped() -> None:
    assert instance_of("x", rectangle(3, 3, 10, 5)) is None
    assert thing(rectangle(3, 3, 17, 3)).area == SMALLEST_AREA


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout.COCO_PANOPTIC, r"panoptic_nosuch.json is missing \(splits found: train2017\)"),
        (Layout.REGIONS, r"has no pictures \(splits found: train, train2017\)"),
        (Layout.POLYGONS, r"annotations.json is missing \(splits found: trainingset\)"),
        (Layout.MASKS, r"no masks \(splits found: all, .*MT_Crack.*\)"),
    ],
)
def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, layout: Layout, message: str) -> None:
    for write in (write_coco_panoptic, write_regions, write_polygons, write_masks):
        write(tmp_path)
    with pytest.raises(DatasetError, match=message):
        open_instances(tmp_path, layout, "nosuch")


def _smaller(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path)


def _short_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[11] -= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("write", "layout", "split", "path", "breakage", "message"),
    [
        (write_coco_panoptic, "coco-panoptic", "train2017", "images/train2017/000000000009.jpg", _smaller, "upright"),
        (write_regions, "regions", "train", "images/train/100075.jpg", _smaller, "sizes must agree"),
        (write_regions, "regions", "train", "regions/train/100075.a.png", Path.unlink, r"100075.a.png"),
        (write_regions, "regions", "train", "regions/train/100075.b.png", _smaller, "no map of region numbers"),
        (write_regions, "regions", "train", "regions/train/100075.b.png", _short_header, r"100075.b.png"),
        (write_masks, "masks", "all", "MT_Crack/tile_1.jpg", _smaller, "upright picture"),
    ],
)
def test_what_does_not_fit_its_picture_is_refused_by_name(
    tmp_path: Path,
    write: Callable[[Path], None],
    layout: str,
    split: str,
    path: str,
    breakage: Callable[[Path], None],
    message: str,
) -> None:
    write(tmp_path)
    breakage(tmp_path / path)
    dataset = open_instances(tmp_path, Layout(layout), split)
    with pytest.raises(DatasetError, match=message):
        dataset.read(dataset.names[0])


@pytest.mark.parametrize("text", ["{", "[]", '{"annotations": [], "categories": [{"id": "a"}]}'])
def test_a_file_that_is_no_panoptic_json_is_refused_by_name(tmp_path: Path, text: str) -> None:
    write_coco_panoptic(tmp_path)
    (tmp_path / "annotations/panoptic_train2017.json").write_text(text)
    with pytest.raises(DatasetError, match="is no panoptic file"):
        open_instances(tmp_path, Layout.COCO_PANOPTIC, "train2017")


def test_folds_part_the_pictures_evenly_and_never_share_one() -> None:
    names = tuple(f"{number:012}" for number in range(103))
    parts = [in_fold(names, fold) for fold in range(5)]
    assert sorted(sum(parts, ())) == list(names)
    assert {len(part) for part in parts} == {20, 21}
    assert set(parts[2]).isdisjoint(without_fold(names, 2))


def test_folds_are_the_same_on_every_machine() -> None:
    dealt = fold_of([f"{number:012}" for number in (9, 25, 30, 34, 36, 42, 49)])
    assert {int(name): fold for name, fold in dealt.items()} == {30: 0, 34: 1, 9: 2, 49: 3, 36: 4, 25: 0, 42: 1}


def test_there_are_five_folds() -> None:
    with pytest.raises(DatasetError, match="fold 5: there are folds 0 to 4"):
        in_fold(("a",), 5)


def test_two_pictures_of_one_name_are_refused_for_the_things_of_one_would_be_looked_for_in_the_other(
    tmp_path: Path,
) -> None:
    write_polygons(tmp_path)
    path = tmp_path / "trainingset/annotations.json"
    told = json.loads(path.read_text())
    told["images"].append({**told["images"][0], "id": 2, "file_name": "more/train1.jpg"})
    path.write_text(json.dumps(told))
    with pytest.raises(DatasetError, match="two pictures are named train1"):
        open_instances(tmp_path, Layout.POLYGONS, "trainingset")
