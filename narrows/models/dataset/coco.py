"""COCO in its own layout: the VOC subset from the instances, or all things and stuff from COCO-Stuff's label maps.

::

    ROOT/SPLIT2017/000000000139.jpg
    ROOT/annotations/instances_SPLIT2017.json            polygons; run lengths where ``iscrowd``   (VOC subset)
    ROOT/stuffthingmaps/SPLIT2017/000000000139.png       uint8: id less one, 255 unlabelled          (stuff)
    ROOT/labels.txt                                      "id: name" a line, as COCO-Stuff publishes it (stuff)

The VOC subset has the 20 PASCAL classes and the background; pixels of crowds are ignored, pictures without one of the
classes left out. Stuff has the 171 classes that COCO-Stuff annotates, numbered without its gaps. Sources: Lin et al.,
"Microsoft COCO", ECCV 2014; Caesar et al., "COCO-Stuff", CVPR 2018.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from narrows.client.painting import colour_wheel
from narrows.contract.errors import DatasetError
from narrows.models.dataset.folder import ClassList
from narrows.models.dataset.pictures import LabelledPicture, of_one_size
from narrows.runtime.pictures import read_labels, read_picture

IGNORED = 255
SIZE = (640, 480)
VOC = (
    (5, "aeroplane"), (2, "bicycle"), (16, "bird"), (9, "boat"), (44, "bottle"), (6, "bus"), (3, "car"), (17, "cat"),
    (62, "chair"), (21, "cow"), (67, "dining table"), (18, "dog"), (19, "horse"), (4, "motorbike"), (1, "person"),
    (64, "potted plant"), (20, "sheep"), (63, "sofa"), (7, "train"), (72, "tv monitor"),
)  # fmt: skip
"""COCO's id and VOC's name of each class, in VOC's order; the background comes before them."""
STUFF_IDS = 182
NEVER_ANNOTATED = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91})


def _class_list(names: Sequence[str]) -> ClassList:
    wheel = colour_wheel()[: len(names)]
    return ClassList(tuple(names), IGNORED, SIZE, tuple((int(r), int(g), int(b)) for r, g, b in wheel))


VOC_CLASSES = _class_list(["background", *(name for _, name in VOC)])


@dataclass(frozen=True)
class CocoVocDataset:
    """The VOC subset of a split; names are picture files without their suffix."""

    root: Path
    split: str
    names: tuple[str, ...]
    shapes: Mapping[str, Sequence[Mapping[str, Any]]]
    sizes: Mapping[str, tuple[int, int]]
    classes: ClassList = VOC_CLASSES

    @classmethod
    def open(cls, root: Path, split: str) -> CocoVocDataset:
        """Read the split's annotations.

        Raises:
            DatasetError: the file is missing, is no instances file, or names no picture with one of the classes.
        """
        path = root / "annotations" / f"instances_{split}2017.json"
        try:
            raw = json.loads(path.read_text())
            files = {int(image["id"]): Path(image["file_name"]).stem for image in raw["images"]}
            sizes = {Path(each["file_name"]).stem: (int(each["width"]), int(each["height"])) for each in raw["images"]}
            numbers = {coco_id: number for number, (coco_id, _) in enumerate(VOC, 1)}
            shapes: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
            for shape in raw["annotations"]:
                if shape["category_id"] in numbers:
                    number = IGNORED if shape.get("iscrowd") else numbers[shape["category_id"]]
                    shapes[files[shape["image_id"]]].append({"number": number, "outline": shape["segmentation"]})
        except FileNotFoundError:
            raise DatasetError(f"{path} is missing: unpack annotations_trainval2017.zip into {root}") from None
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{path} is no COCO instances file: {type(error).__name__}: {error}") from None
        if not shapes:
            raise DatasetError(f"{path} has no picture with one of VOC's 20 classes")
        return cls(root, split, tuple(sorted(shapes)), shapes, sizes)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[LabelledPicture]:
        return (self.read(name) for name in self.names)

    def read(self, name: str) -> LabelledPicture:
        """Read one sample; where shapes overlap, the later one in the file is on top, crowds below all.

        Raises:
            PictureError: the picture is missing or broken.
            DatasetError: its size is not that of its outlines, or an outline is broken.
        """
        path = self.root / f"{self.split}2017" / f"{name}.jpg"
        picture = read_picture(path)
        height, width = picture.shape[:2]
        if (width, height) != self.sizes[name]:
            raise DatasetError(f"{path} is, upright, {(width, height)}; its outlines are for {self.sizes[name]}")
        labels = np.zeros((height, width), np.uint8)
        for shape in sorted(self.shapes[name], key=lambda each: each["number"] != IGNORED):
            try:
                labels[_filled(shape["outline"], (height, width))] = shape["number"]
            except (KeyError, TypeError, ValueError) as error:
                raise DatasetError(
                    f"{path}: an outline in instances_{self.split}2017.json is broken: {error}"
                ) from None
        return LabelledPicture(name, picture, labels)


@dataclass(frozen=True)
class CocoStuffDataset:
    """Things and stuff of a split; names are picture files without their suffix, ``ids`` the classes' own."""

    root: Path
    split: str
    names: tuple[str, ...]
    ids: tuple[int, ...]
    classes: ClassList

    @classmethod
    def open(cls, root: Path, split: str) -> CocoStuffDataset:
        """List the split's label maps and read the classes' names.

        Raises:
            DatasetError: there are no label maps, or ``labels.txt`` is missing or broken.
        """
        folder = root / "stuffthingmaps" / f"{split}2017"
        names = tuple(sorted(path.stem for path in folder.glob("*.png")))
        if not names:
            raise DatasetError(f"{folder} has no label maps: unpack stuffthingmaps_trainval2017.zip there")
        called = _read_labels(root / "labels.txt")
        return cls(root, split, names, tuple(called), _class_list(list(called.values())))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[LabelledPicture]:
        return (self.read(name) for name in self.names)

    def read(self, name: str) -> LabelledPicture:
        """Read one sample.

        Raises:
            PictureError: a file is missing or broken.
            DatasetError: the sizes differ, or a value is no class.
        """
        path = self.root / "stuffthingmaps" / f"{self.split}2017" / f"{name}.png"
        values = read_labels(path)
        labels = self._numbers[values]
        strange = values[(labels == IGNORED) & (values != IGNORED)]
        if strange.size:
            raise DatasetError(f"{path} has value {strange[0]}: id {int(strange[0]) + 1} is no class of COCO-Stuff")
        picture = read_picture(self.root / f"{self.split}2017" / f"{name}.jpg")
        return of_one_size(name, picture, labels, path)

    @cached_property
    def _numbers(self) -> NDArray[np.uint8]:
        numbers = np.full(256, IGNORED, np.uint8)
        for number, coco_id in enumerate(self.ids):
            numbers[coco_id - 1] = number
        return numbers


def _read_labels(path: Path) -> dict[int, str]:
    """Names by id, without the unlabelled 0 and the ids that nothing was ever annotated with."""
    try:
        pairs = [line.split(":", 1) for line in path.read_text().splitlines() if line.strip()]
        named = {int(number): name.strip() for number, name in pairs}
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing: take COCO-Stuff's own labels.txt") from None
    except ValueError as error:
        raise DatasetError(f"{path} is not COCO-Stuff's labels.txt, a line of 'id: name' each: {error}") from None
    wanted = [number for number in range(1, STUFF_IDS + 1) if number not in NEVER_ANNOTATED]
    if missing := [number for number in wanted if number not in named]:
        raise DatasetError(f"{path} does not name id {missing[0]}")
    return {number: named[number] for number in wanted}


def _filled(outline: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:  # noqa: ANN401 -- as the file has it
    """Polygons ``[[x, y, ...], ...]`` or uncompressed run lengths ``{"counts": [...], "size": [h, w]}``, to a mask."""
    if isinstance(outline, dict):
        counts = [int(count) for count in outline["counts"]]
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        return inside.reshape(shape[1], shape[0]).T
    image = Image.new("1", (shape[1], shape[0]))
    pen = ImageDraw.Draw(image)
    for polygon in outline:
        pen.polygon([float(value) for value in polygon], fill=1)
    return np.asarray(image)
