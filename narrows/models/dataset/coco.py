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

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from narrows.client.painting import colour_wheel
from narrows.contract.errors import DatasetError, RecordError
from narrows.models.dataset.folder import ClassList, Side
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


class _Picture(msgspec.Struct, frozen=True):
    id: int
    file_name: str
    width: Side
    height: Side


class _RunLengths(msgspec.Struct, frozen=True):
    """Lengths of runs, column by column, the first of what is outside."""

    counts: list[Annotated[int, Meta(ge=0, le=1 << 32)]]


Place = Annotated[float, Meta(ge=-(1 << 20), le=1 << 20)]
_OUTLINE = msgspec.json.Decoder(list[list[Place]] | _RunLengths)


class _Annotation(msgspec.Struct, frozen=True):
    image_id: int
    category_id: int
    segmentation: msgspec.Raw
    iscrowd: int | bool = 0


class Instances(msgspec.Struct, frozen=True):
    """``instances_SPLIT2017.json``, as far as it is read; outlines wait until their picture is.

    Half a gigabyte for COCO's own, so it is read typed at once and not by way of :mod:`narrows.contract.json_text`.
    """

    images: list[_Picture]
    annotations: list[_Annotation]


@dataclass(frozen=True, slots=True)
class Shape:
    """An outline, as the file has it, and the number of what is in it."""

    number: int
    outline: bytes


@dataclass(frozen=True)
class CocoVocDataset:
    """The VOC subset of a split; names are picture files without their suffix."""

    root: Path
    split: str
    names: tuple[str, ...]
    shapes: Mapping[str, Sequence[Shape]]
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
            instances = parse_instances(path.read_bytes())
            shapes = _shapes_of(instances)
        except FileNotFoundError:
            raise DatasetError(f"{path} is missing: unpack annotations_trainval2017.zip into {root}") from None
        except RecordError as error:
            raise DatasetError(f"{path} is no COCO instances file: {error}") from None
        sizes = {Path(each.file_name).stem: (each.width, each.height) for each in instances.images}
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
        for shape in sorted(self.shapes[name], key=lambda each: each.number != IGNORED):
            try:
                labels[filled(shape.outline, (height, width))] = shape.number
            except RecordError as error:
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


def parse_instances(data: bytes) -> Instances:
    """Read an instances file, whatever the bytes.

    Raises:
        RecordError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=Instances)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(str(error)) from None


def _shapes_of(instances: Instances) -> dict[str, list[Shape]]:
    names = {image.id: Path(image.file_name).stem for image in instances.images}
    numbers = {coco_id: number for number, (coco_id, _) in enumerate(VOC, 1)}
    shapes: dict[str, list[Shape]] = defaultdict(list)
    for each in instances.annotations:
        if each.category_id in numbers:
            if each.image_id not in names:
                raise RecordError(f"an annotation is of image {each.image_id}, which is not listed")
            number = IGNORED if each.iscrowd else numbers[each.category_id]
            shapes[names[each.image_id]].append(Shape(number, bytes(each.segmentation)))
    return shapes


def filled(outline: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Polygons ``[[x, y, ...], ...]`` or uncompressed run lengths ``{"counts": [...], "size": [h, w]}``, to a mask.

    Raises:
        RecordError: it is neither, or its runs are not as long as the picture.
    """
    try:
        parsed = _OUTLINE.decode(outline)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(str(error)) from None
    if isinstance(parsed, _RunLengths):
        if sum(parsed.counts) != shape[0] * shape[1]:
            raise RecordError(f"its runs are of {sum(parsed.counts)} pixels, the picture has {shape[0] * shape[1]}")
        inside = np.repeat(np.arange(len(parsed.counts)) % 2 == 1, parsed.counts)
        return inside.reshape(shape[1], shape[0]).T
    image = Image.new("1", (shape[1], shape[0]))
    pen = ImageDraw.Draw(image)
    for polygon in parsed:
        try:
            pen.polygon(polygon, fill=1)
        except (TypeError, ValueError) as error:
            raise RecordError(f"a polygon of {len(polygon)} numbers: {error}") from None
    return np.asarray(image)
