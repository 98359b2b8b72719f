"""Labelled pictures: the project's own layout, Cityscapes' and COCO's, read one at a time."""

from narrows.models.dataset.base import LabelledDataset, Named, Samples
from narrows.models.dataset.folder import ClassList, FolderDataset
from narrows.models.dataset.layouts import open_dataset
from narrows.models.dataset.pictures import LabelledPicture

__all__ = ["ClassList", "FolderDataset", "LabelledDataset", "LabelledPicture", "Named", "Samples", "open_dataset"]
