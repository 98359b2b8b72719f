"""Polygons in COCO's JSON beside the pictures: every annotation is a thing.

::

    ROOT/SPLIT/annotations.json     images, annotations with ``segmentation`` as polygons
    ROOT/SPLIT/images/train1.jpg    each picture's ``file_name``, below ROOT/SPLIT
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import DatasetError, RecordError
from narrows.models.dataset.coco import filled, parse_instances
from narrows.models.promptable.data.instances import AnnotatedPicture, instances_of
from narrows.runtime.pictures import read_picture


@dataclass(frozen=True)
class PolygonsDataset:
    """One split; names are picture files without folder and suffix."""

    root: Path
    split: str
    names: tuple[str, ...]
    files: Mapping[str, str]
    outlines: Mapping[str, tuple[bytes, ...]]

    @classmethod
    def open(cls, root: Path, split: str) -> PolygonsDataset:
        """Read the split's annotations.

        Raises:
            DatasetError: the file is missing, or is no COCO instances file; two pictures have one name.
        """
        path = root / split / "annotations.json"
        try:
            parsed = parse_instances(path.read_bytes())
        except FileNotFoundError:
            found = ", ".join(sorted(each.parent.name for each in root.glob("*/annotations.json"))) or "none"
            raise DatasetError(f"{path} is missing (splits found: {found})") from None
        except RecordError as error:
            raise DatasetError(f"{path} is no COCO instances file: {error}") from None
        files = {each.id: each.file_name for each in parsed.images}
        outlines: dict[str, list[bytes]] = defaultdict(list)
        for annotation in parsed.annotations:
            if annotation.image_id not in files:
                raise DatasetError(f"{path}: an annotation names picture {annotation.image_id}, which is not listed")
            outlines[Path(files[annotation.image_id]).stem].append(bytes(annotation.segmentation))
        named: dict[str, str] = {}
        for file in files.values():
            if named.setdefault(Path(file).stem, file) != file:
                raise DatasetError(
                    f"{path}: two pictures are named {Path(file).stem}: their outlines cannot be told apart"
                )
        held = {name: tuple(each) for name, each in outlines.items()}
        return cls(root, split, tuple(sorted(held)), named, held)

    def read(self, name: str) -> AnnotatedPicture:
        """Read one picture and its things.

        Raises:
            DatasetError: an outline is broken.
            PictureError: the picture is missing or broken.
        """
        picture = read_picture(self.root / self.split / self.files[name])
        shape = (picture.shape[0], picture.shape[1])
        try:
            masks = [(f"{name}/{place}", filled(outline, shape)) for place, outline in enumerate(self.outlines[name])]
        except RecordError as error:
            raise DatasetError(f"{self.root / self.split}: an outline of {name} is broken: {error}") from None
        return AnnotatedPicture(name, picture, instances_of(masks))
