"""How right a result is: against labels where there are some, else against that of the unmodified network.

Each judge turns a picture's result into counts, and counts of many pictures into a share between 0 and 1, so that an
interval comes from drawing pictures again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.split_bits.pictures import Sample

Counts = NDArray[np.float64]
Result = NDArray[np.float32]
_DRAWS = 400


class Judge(Protocol):
    """How right the results of one network are."""

    measure: str
    positives: str

    def counts(self, sample: Sample, result: Result, whole: Result) -> Counts:
        """Of one picture: what it adds."""
        ...

    def share(self, counts: Sequence[Counts]) -> float:
        """Of many pictures."""
        ...

    def positives_of(self, sample: Sample, whole: Result) -> int:
        """How many decisions a picture has."""
        ...


@dataclass(frozen=True)
class Interval:
    """A share, and where 95 of 100 lie when pictures are drawn again."""

    value: float
    low: float
    high: float


def lost_points(judge: Judge, counts: Sequence[Counts], whole: Sequence[Counts]) -> Interval:
    """Points lost against the unmodified network on the same pictures."""
    random = np.random.default_rng(0)
    lost = 100 * (judge.share(whole) - judge.share(counts))
    draws = []
    for _ in range(_DRAWS):
        drawn = random.integers(0, len(counts), len(counts))
        draws.append(judge.share([whole[i] for i in drawn]) - judge.share([counts[i] for i in drawn]))
    low, high = np.percentile(draws, (2.5, 97.5)) * 100
    return Interval(lost, float(low), float(high))


class TopOne:
    """Where the unmodified network is sure of a class, as a detector's positives are what it is sure of."""

    measure, positives = "top-1 agreement with the unmodified network, where that is sure", "pictures"
    SURE = 0.3

    def counts(self, sample: Sample, result: Result, whole: Result) -> Counts:
        """Of a picture that counts: right, and one."""
        return np.array([float(result.argmax() == whole.argmax()), 1.0]) * self.positives_of(sample, whole)

    def share(self, counts: Sequence[Counts]) -> float:
        """Of the pictures that count."""
        right, total = np.sum(counts, axis=0)
        return float(right / max(1.0, total))

    def positives_of(self, sample: Sample, whole: Result) -> int:
        """One, if the network is sure."""
        del sample
        shifted = np.exp(whole.astype(np.float64) - whole.max())
        return int(shifted.max() / shifted.sum() >= self.SURE)


class MapIou(TopOne):
    """Of maps of one channel, above 0.5; all pixels together."""

    measure, positives = "IoU with the unmodified network's mask", "pictures"

    def counts(self, sample: Sample, result: Result, whole: Result) -> Counts:
        """Pixels in both masks, and in either."""
        ours, theirs = result > 0.5, whole > 0.5
        return np.array([(ours & theirs).sum(), (ours | theirs).sum()], dtype=np.float64)

    def positives_of(self, sample: Sample, whole: Result) -> int:
        """Every picture has a mask."""
        del sample, whole
        return 1


class MeanIou(MapIou):
    """Of label maps, against labels."""

    measure, positives = "mIoU against labels", "pictures"
    CLASSES, IGNORED = 11, 11

    def counts(self, sample: Sample, result: Result, whole: Result) -> Counts:
        """The confusion matrix, flat."""
        assert sample.labels is not None
        known = sample.labels != self.IGNORED
        pairs = sample.labels[known].astype(np.intp) * self.CLASSES + result.reshape(sample.labels.shape)[known]
        return np.bincount(pairs, minlength=self.CLASSES**2).astype(np.float64)

    def share(self, counts: Sequence[Counts]) -> float:
        """Over the classes that are there."""
        matrix = np.sum(counts, axis=0).reshape(self.CLASSES, self.CLASSES)
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
        return float((np.diag(matrix)[union > 0] / union[union > 0]).mean())


class Lines(MapIou):
    """F1 of lines of text: those drawn are the labels.

    Found is a line if the map covers a third of its box (the network's maps are shrunk); of the map, what lies on no
    line, or 8 pixels beside one, is wrong.
    """

    measure, positives = "F1 against the lines that were drawn", "lines"
    ABOVE = 0.3

    def counts(self, sample: Sample, result: Result, whole: Result) -> Counts:
        """Lines found and lines, pixels of the map that are right and pixels of it."""
        found = result.reshape(result.shape[-2:]) > self.ABOVE
        near = np.zeros_like(found)
        hits = 0
        for left, top, right, bottom in sample.lines:
            near[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8] = True
            hits += found[top:bottom, left:right].mean() >= 0.35
        return np.array([hits, len(sample.lines), (found & near).sum(), found.sum()], dtype=np.float64)

    def share(self, counts: Sequence[Counts]) -> float:
        """F1."""
        hits, lines, right, found = np.sum(counts, axis=0)
        recall, precision = hits / lines, right / max(1, found)
        return float(2 * recall * precision / max(1e-9, recall + precision))

    def positives_of(self, sample: Sample, whole: Result) -> int:
        """Its lines."""
        return len(sample.lines)


class Detections:
    """Mean AP at IoU 0.5 against the unmodified network's own detections, classes weighted by how many it has."""

    measure, positives = "mean AP against the unmodified network's detections", "detections"
    SURE, FAINT, OVERLAP = 0.5, 0.05, 0.5

    def counts(self, sample: Sample, result: Result, whole: Result) -> Counts:
        """Rows of class, score, right; and for each class that the whole has, its number with a score of -1."""
        ours, theirs = detections(result, self.FAINT), detections(whole, self.SURE)
        free = [True] * len(theirs)
        rows = []
        for kind, score, box in sorted(ours, key=lambda each: -each[1]):
            overlaps = [
                _iou(box, other) if free[i] and kind == their_kind else 0.0
                for i, (their_kind, _, other) in enumerate(theirs)
            ]
            best = int(np.argmax(overlaps)) if overlaps else -1
            right = best >= 0 and overlaps[best] >= self.OVERLAP
            if right:
                free[best] = False
            rows.append((kind, score, float(right)))
        rows += [(kind, -1.0, 1.0) for kind, _, _ in theirs]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def share(self, counts: Sequence[Counts]) -> float:
        """Mean AP."""
        rows = np.concatenate(list(counts))
        total = found = 0.0
        for kind in np.unique(rows[rows[:, 1] < 0, 0]):
            of_kind = rows[rows[:, 0] == kind]
            wanted = int((of_kind[:, 1] < 0).sum())
            ours = of_kind[of_kind[:, 1] >= 0]
            total += wanted
            found += wanted * _average_precision(ours[np.argsort(-ours[:, 1], kind="stable"), 2], wanted)
        return found / max(1.0, total)

    def positives_of(self, sample: Sample, whole: Result) -> int:
        """What the unmodified network is sure of."""
        return len(detections(whole, self.SURE))


def _average_precision(right: NDArray[np.float64], wanted: int) -> float:
    """All points, precision made monotone, as COCO and VOC 2010 have it."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * right).sum() / wanted)


Detection = tuple[int, float, NDArray[np.float64]]


def detections(result: Result, least: float) -> list[Detection]:
    """FastestDet's output ``(1, 85, h, w)``: objectness, box, 80 classes; after non-maximum suppression at 0.45."""
    grid = result[0].astype(np.float64)
    _, rows, columns = grid.shape
    score = grid[0] ** 0.6 * grid[5:].max(axis=0) ** 0.4
    found = []
    for y, x in zip(*np.nonzero(score > least), strict=True):
        centre = (np.array([x, y]) + np.tanh(grid[1:3, y, x])) / (columns, rows)
        size = 1 / (1 + np.exp(-grid[3:5, y, x]))
        box = np.concatenate([centre - size / 2, centre + size / 2])
        found.append((int(grid[5:, y, x].argmax()), float(score[y, x]), box))
    kept: list[Detection] = []
    for each in sorted(found, key=lambda one: -one[1]):
        if all(each[0] != other[0] or _iou(each[2], other[2]) <= 0.45 for other in kept):
            kept.append(each)
    return kept


def _iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / (float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2])) - shared)
