"""Labels of a teacher, corrected where people labelled the same pictures and their classes mean the same.

A teacher that has not seen a camera's streets misses what is thin and rare there; people's labels of a few hundred
pictures put that right, and what they have no class for stays the teacher's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError
from narrows.models.dataset import ClassList, FolderDataset
from narrows.models.training.class_names import place_of, read_class_names


@dataclass(frozen=True)
class GroundTruth:
    """People's labels of pictures, by name.

    Attributes:
        data: the labelled folder.
        means: by a label of the teacher, the label of these people that means the same; 255: none does.
        instead: by a label of these people, what the teacher should have said; 255: whatever it said.
    """

    data: FolderDataset
    means: NDArray[np.uint8]
    instead: NDArray[np.uint8]

    @classmethod
    def open(cls, folder: Path, split: str, same_classes: Path, classes: ClassList) -> GroundTruth:
        """Read which classes are the same: a JSON object from the teacher's names to the folder's.

        Where several of the teacher's classes are one of the folder's, the first of them stands for it.

        Raises:
            DatasetError: the folder has no such split, or a name is no class.
        """
        data = FolderDataset.open(folder, split)
        means, instead = np.full(256, 255, np.uint8), np.full(256, 255, np.uint8)
        for theirs, ours in read_class_names(same_classes).items():
            label = place_of(theirs, classes.names, same_classes)
            truth = place_of(ours, data.classes.names, same_classes)
            means[label] = truth
            if instead[truth] == 255:
                instead[truth] = label
        return cls(data, means, instead)

    def correct(self, name: str, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A teacher's labels ``(H, W)`` uint8 of a picture, put right where people said otherwise.

        A picture that nobody labelled stays as it is.

        Raises:
            PictureError, DatasetError: the picture's labels cannot be read, or are of another size.
        """
        if name not in self.data.names:
            return labels
        truth = self.data.read(name).labels
        if truth.shape != labels.shape:
            raise DatasetError(f"{name}: labels of {truth.shape}, the teacher's are {labels.shape}")
        wrong = (self.instead[truth] != 255) & (self.means[labels] != truth)
        return np.where(wrong, self.instead[truth], labels)
