"""COCO's panoptic annotations: one PNG a picture whose colours are ids, and a JSON that says what they are.

::

    ROOT/images/SPLIT/000000000009.jpg             or ROOT/SPLIT/000000000009.jpg, as COCO itself unpacks
    ROOT/annotations/panoptic_SPLIT.json
    ROOT/annotations/panoptic_SPLIT/000000000009.png    id = R + 256 G + 65536 B

Things are read, without crowds; stuff is no thing one can tap. Source: Kirillov et al., "Panoptic Segmentation", CVPR
2019, and its format's description at cocodataset.org.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError
from narrows.models.promptable.data.instances import AnnotatedPicture, instances_of
from narrows.runtime.pictures import read_picture


class _Segment(msgspec.Struct, frozen=True):
    id: int
    category_id: int
    iscrowd: int = 0


class _Annotation(msgspec.Struct, frozen=True):
    file_name: str
    segments_info: list[_Segment]


class _Category(msgspec.Struct, frozen=True):
    id: int
    isthing: int


class _Panoptic(msgspec.Struct, frozen=True):
    annotations: list[_Annotation]
    categories: list[_Category]


@dataclass(frozen=True)
class CocoPanopticDataset:
    """One split; names are picture files without their suffix, ``ids`` the things of each."""

    root: Path
    split: str
    names: tuple[str, ...]
    ids: Mapping[str, tuple[int, ...]]

    @classmethod
    def open(cls, root: Path, split: str) -> CocoPanopticDataset:
        """Read the split's JSON.

        Raises:
            DatasetError: it is missing, or is no panoptic file.
        """
        path = root / "annotations" / f"panoptic_{split}.json"
        try:
            parsed = msgspec.json.decode(path.read_bytes(), type=_Panoptic)
        except FileNotFoundError:
            found = ", ".join(sorted(p.stem.removeprefix("panoptic_") for p in path.parent.glob("panoptic_*.json")))
            raise DatasetError(f"{path} is missing (splits found: {found or 'none'})") from None
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise DatasetError(f"{path} is no panoptic file: {error}") from None
        things = {category.id for category in parsed.categories if category.isthing}
        ids = {
            Path(each.file_name).stem: tuple(
                s.id for s in each.segments_info if s.category_id in things and not s.iscrowd
            )
            for each in parsed.annotations
        }
        return cls(root, split, tuple(sorted(ids)), ids)

    def read(self, name: str) -> AnnotatedPicture:
        """Read one picture and its things.

        Raises:
            DatasetError: picture and annotation differ in size, or the annotation is no RGB picture.
            PictureError: a file is missing or broken.
        """
        path = self.root / "annotations" / f"panoptic_{self.split}" / f"{name}.png"
        map_of_ids = _ids(read_picture(path))
        picture = read_picture(self._picture_path(name))
        if picture.shape[:2] != map_of_ids.shape:
            raise DatasetError(f"{path} is {map_of_ids.shape}, its upright picture {picture.shape[:2]}")
        masks = ((f"{name}/{number}", map_of_ids == number) for number in self.ids[name])
        return AnnotatedPicture(name, picture, instances_of(masks))

    def _picture_path(self, name: str) -> Path:
        inside = self.root / "images" / self.split / f"{name}.jpg"
        return inside if inside.is_file() else self.root / self.split / f"{name}.jpg"


def _ids(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    red, green, blue = (colours[..., channel].astype(np.int32) for channel in range(3))
    found: NDArray[np.int32] = red + 256 * green + 65536 * blue
    return found
