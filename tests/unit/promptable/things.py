"""Small data sets in every layout, made on the spot."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.models.promptable.data.instances import AnnotatedPicture, Instance, instance_of

WIDTH, HEIGHT = 64, 48


def disc(x: float, y: float, radius: float, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:height, :width] + 0.5
    inside: NDArray[np.bool_] = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return inside


def rectangle(x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def thing(mask: NDArray[np.bool_], name: str = "thing") -> Instance:
    found = instance_of(name, mask)
    assert found is not None
    return found


def picture_of(*masks: NDArray[np.bool_], name: str = "p") -> AnnotatedPicture:
    """Things in white on black."""
    height, width = masks[0].shape
    picture = np.zeros((height, width, 3), np.uint8)
    for mask in masks:
        picture[mask] = 255
    things = tuple(thing(mask, f"{name}/{place}") for place, mask in enumerate(masks))
    return AnnotatedPicture(name, picture, things)


def write_coco_panoptic(root: Path) -> None:
    """One picture: thing 300 is a 10 x 8 rectangle, 70000 a crowd, 5 is stuff, 9 is 50 pixels."""
    ids = np.full((HEIGHT, WIDTH), 5, np.int64)
    ids[4:12, 6:16] = 300
    ids[20:40, 0:20] = 70000
    ids[20:30, 40:45] = 9
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    for folder in ("images/train2017", "annotations/panoptic_train2017"):
        (root / folder).mkdir(parents=True)
    Image.fromarray(colours).save(root / "annotations/panoptic_train2017/000000000009.png")
    Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(root / "images/train2017/000000000009.jpg")
    segments = [
        {"id": number, "category_id": category, "iscrowd": crowd}
        for number, category, crowd in ((300, 1, 0), (70000, 1, 1), (5, 2, 0), (9, 1, 0))
    ]
    told = {
        "annotations": [{"file_name": "000000000009.png", "segments_info": segments}],
        "categories": [{"id": 1, "isthing": 1}, {"id": 2, "isthing": 0}],
    }
    (root / "annotations/panoptic_train2017.json").write_text(json.dumps(told))


def write_regions(root: Path) -> None:
    """One picture: the coarsest annotator has two halves, the finest, in 16 bits, three thirds and more."""
    for folder in ("images/train", "regions/train"):
        (root / folder).mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(root / "images/train/100075.jpg")
    columns = np.tile(np.arange(WIDTH), (HEIGHT, 1))
    Image.fromarray((columns >= 32).astype(np.uint8)).save(root / "regions/train/100075.a.png")
    Image.fromarray((columns // 22 + 300).astype(np.uint16)).save(root / "regions/train/100075.b.png")


def write_polygons(root: Path) -> None:
    """One picture of two things, the second in two pieces; ``iscrowd`` is a truth value there."""
    (root / "trainingset/images").mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(root / "trainingset/images/train1.jpg")
    pieces = [[[2, 2, 20, 2, 20, 20, 2, 20]], [[30, 5, 40, 5, 40, 20, 30, 20], [45, 5, 55, 5, 55, 20, 45, 20]]]
    told = {
        "images": [{"id": 1, "file_name": "images/train1.jpg", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"image_id": 1, "category_id": 2, "segmentation": piece, "iscrowd": False} for piece in pieces],
    }
    (root / "trainingset/annotations.json").write_text(json.dumps(told))


def write_masks(root: Path) -> None:
    """A defect and a tile without one, in two folders."""
    for folder, mask in (("MT_Crack", disc(30, 20, 8)), ("MT_Free", np.zeros((HEIGHT, WIDTH), bool))):
        (root / folder).mkdir(parents=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / folder / "tile_1.png")
        Image.new("L", (WIDTH, HEIGHT), 90).save(root / folder / "tile_1.jpg")
