"""Labelled pictures: the project's own layout, Cityscapes' and COCO's, read one at a time."""

from narrows.dataset.base import LabelledDataset
from narrows.dataset.folder import ClassList, FolderDataset
from narrows.dataset.layouts import open_dataset
from narrows.dataset.pictures import LabelledPicture

__all__ = ["ClassList", "FolderDataset", "LabelledDataset", "LabelledPicture", "open_dataset"]
