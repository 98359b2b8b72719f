"""Mean intersection over union, from one confusion matrix over a whole split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError


class ConfusionMatrix:
    """Counts of (true, predicted) pixels; ``update`` as often as there are frames, then read the scores.

    Source: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", 2015.

    Example:
        >>> matrix = ConfusionMatrix(classes=2, ignore_index=255)
        >>> matrix.update(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
        >>> matrix.miou
        0.25
    """

    def __init__(self, classes: int, ignore_index: int) -> None:
        self.classes = classes
        self.ignore_index = ignore_index
        self.counts: NDArray[np.int64] = np.zeros((classes, classes), dtype=np.int64)

    def update(self, true: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Add one frame: two label maps ``(H, W)`` uint8. Pixels whose true label is ignored do not count.

        Raises:
            DatasetError: the maps' sizes differ, or a label is none of the classes.
        """
        if true.shape != predicted.shape:
            raise DatasetError(f"labels are {true.shape}, the mask {predicted.shape}: they must cover the same pixels")
        kept = true != self.ignore_index
        rows, columns = true[kept].astype(np.int64), predicted[kept]
        if rows.size and (rows.max() >= self.classes or columns.max() >= self.classes):
            raise DatasetError(f"a label is beyond the {self.classes} classes")
        pairs = np.bincount(rows * self.classes + columns, minlength=self.classes**2)
        self.counts += pairs.reshape(self.classes, self.classes)

    def merge(self, other: ConfusionMatrix) -> None:
        """Add another matrix over the same classes."""
        self.counts += other.counts

    @property
    def per_class_iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class ``(classes,)``; NaN where no label has it.

        A few pixels that were taken for an absent class cost the classes that they are of, not a whole class beside.
        """
        hits = np.diag(self.counts).astype(np.float64)
        there = self.counts.sum(axis=1)
        scores = np.full(self.classes, np.nan)
        np.divide(hits, self.counts.sum(axis=0) + there - hits, out=scores, where=there > 0)
        return scores

    @property
    def miou(self) -> float:
        """The mean over the classes that labels have; NaN before the first labelled pixel."""
        scores = self.per_class_iou
        occurring = scores[~np.isnan(scores)]
        return float(occurring.mean()) if occurring.size else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """The share of labelled pixels that are right; NaN before the first one."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts) / total) if total else float("nan")
