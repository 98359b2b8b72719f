"""Which layout a folder has, told by what lies in it."""

from __future__ import annotations

from pathlib import Path

from narrows.contract.errors import DatasetError
from narrows.models.dataset.base import LabelledDataset
from narrows.models.dataset.cityscapes import CityscapesDataset
from narrows.models.dataset.coco import CocoStuffDataset, CocoVocDataset
from narrows.models.dataset.folder import FolderDataset


def open_dataset(root: Path, split: str) -> LabelledDataset:
    """Open a folder of the project's own layout, of Cityscapes', or of COCO's (stuff where its label maps are there).

    Raises:
        DatasetError: the folder has none of these layouts, or the split is not there.
    """
    if (root / "classes.json").is_file():
        return FolderDataset.open(root, split)
    if (root / "leftImg8bit").is_dir():
        return CityscapesDataset.open(root, split)
    if (root / "stuffthingmaps").is_dir():
        return CocoStuffDataset.open(root, split)
    if (root / "annotations").is_dir():
        return CocoVocDataset.open(root, split)
    raise DatasetError(
        f"{root} has no classes.json (our layout), leftImg8bit/ (Cityscapes), stuffthingmaps/ or annotations/ (COCO)"
    )
