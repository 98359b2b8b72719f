"""One cell of the table: a kind of bad picture at a strength, through every contender."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.robustness.contenders import Answer, Judge
from benchmarks.robustness.corruptions import KINDS, rotated
from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.evaluation import ConfusionMatrix

CLEAN = "clean"
FEATURE_LEVELS = (1, 3)
Score = dict[str, float]


@dataclass(frozen=True)
class Judged:
    """A bundle and the pictures that it is judged on."""

    name: str
    judge: Judge
    classes: ClassList
    samples: tuple[LabelledPicture, ...]


def cells(judged: Sequence[Judged], kinds: Sequence[str], strengths: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The clean cell first, then kind by kind: for each contender mIoU and bits per pixel, the mean over ``judged``."""
    yield {"kind": CLEAN, "strength": 0, **_mean(_scores(each, each.samples) for each in judged)}
    for kind in kinds:
        for strength in strengths:
            bad = (
                (each, [_worsened(sample, kind, strength, each.classes) for sample in each.samples]) for each in judged
            )
            yield {"kind": kind, "strength": strength, **_mean(_scores(each, samples) for each, samples in bad)}


def _worsened(sample: LabelledPicture, kind: str, strength: int, classes: ClassList) -> LabelledPicture:
    """The same frame looks the same in every run; what is turned takes its labels along."""
    seed = zlib.crc32(f"{kind} {sample.name}".encode())
    picture = KINDS[kind](sample.picture, strength, np.random.default_rng(seed))
    labels = sample.labels
    if kind == "turned":
        again = np.random.default_rng(seed)
        nearest = Image.Resampling.NEAREST
        labels = rotated(labels, strength, again, fill=classes.ignore_index, resample=nearest)
    return LabelledPicture(sample.name, picture, labels)


def _scores(judged: Judged, samples: Sequence[LabelledPicture]) -> dict[str, Score]:
    judge, pictures = judged.judge, [sample.picture for sample in samples]
    features = {f"features_{level}": judge.features(pictures, level) for level in FEATURE_LEVELS}
    answers = {**features, "camera_mask": judge.camera_masks(pictures)}
    scores = {name: _score(answer, samples, judged.classes) for name, answer in answers.items()}
    rivals = judge.pictures(pictures, features[f"features_{FEATURE_LEVELS[0]}"].bits)
    scores["picture"] = max((_score(rival, samples, judged.classes) for rival in rivals), key=lambda s: s["miou"])
    return scores


def _score(answer: Answer, samples: Sequence[LabelledPicture], classes: ClassList) -> Score:
    matrix = ConfusionMatrix(len(classes.names), classes.ignore_index)
    for mask, sample in zip(answer.masks, samples, strict=True):
        matrix.update(sample.labels, mask)
    pixels = sum(sample.labels.size for sample in samples)
    return {"miou": round(matrix.miou, 5), "bits_per_pixel": round(answer.bits / pixels, 5)}


def _mean(all_scores: Iterator[dict[str, Score]]) -> dict[str, Score]:
    each = list(all_scores)
    return {
        way: {figure: round(float(np.mean([scores[way][figure] for scores in each])), 5) for figure in each[0][way]}
        for way in each[0]
    }
