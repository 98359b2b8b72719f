"""Labelled pictures: the folder layout of the project, read into memory or one at a time."""

from narrows.dataset.folder import ClassList, FolderDataset, LabelledPicture

__all__ = ["ClassList", "FolderDataset", "LabelledPicture"]
