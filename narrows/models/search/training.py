"""A candidate as a network, and its short training: the frontier's recipe, for few steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from narrows.contract.codec import encode_labels, general_label_tables
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.cloud_decoder import CloudShape
from narrows.models.nn.weak import one_hot_labels
from narrows.models.nn.weak_designs import Design, DesignOutput, WeakNetwork
from narrows.models.search.space import Candidate, seen_side
from narrows.models.training.augment import normalise
from narrows.models.training.fitting import Recipe, fit, groups_of
from narrows.models.training.mask_setup import MaskSetup, mask_task
from narrows.models.training.rounds import Say


class AtResolution(nn.Module):
    """A network that sees pictures at a share of their sides; its masks have the pictures' size."""

    def __init__(self, whole: WeakNetwork, resolution: float) -> None:
        super().__init__()
        self.whole, self.resolution = whole, resolution

    def forward(self, pictures: Tensor, level: Tensor, *, rounded_rate: bool = False) -> DesignOutput:
        """As :class:`~narrows.models.nn.weak_designs.WeakNetwork`."""
        found: DesignOutput = self.whole(self.seen(pictures), level, rounded_rate=rounded_rate)
        size = (pictures.shape[-2], pictures.shape[-1])
        camera = None if found.camera_logits is None else _resized(found.camera_logits, size)
        return found._replace(logits=_resized(found.logits, size), camera_logits=camera)

    def camera(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """What the camera makes: logits, a latent, or both."""
        found: tuple[Tensor, ...] = self.whole.camera(self.seen(pictures))
        return found

    def seen(self, pictures: Tensor) -> Tensor:
        """Pictures as the network takes them."""
        if self.resolution == 1:
            return pictures
        height, width = (seen_side(side, self.resolution) for side in pictures.shape[-2:])
        return functional.interpolate(pictures, size=(height, width), mode="bilinear", antialias=True)


def _resized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    if logits.shape[-2:] == size:
        return logits
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def use_threads(count: int) -> None:
    """Of this process's trainings: beside other work one is fastest."""
    torch.set_num_threads(count)


def built(
    candidate: Candidate, design: Design, cloud: CloudShape, classes: int, levels: int, seed: int
) -> AtResolution:
    """A fresh network, the same whenever it is built of this seed."""
    torch.manual_seed(seed)
    return AtResolution(WeakNetwork(design, candidate.shape, cloud, classes, levels), candidate.resolution)


def train_briefly(
    network: AtResolution, setup: MaskSetup, steps: int, learning_rate: float, seed: int, path: Path, say: Say
) -> AtResolution:
    """Train, or read what ``path`` holds; one that was killed goes on from its last save."""
    recipe = Recipe(steps, learning_rate)
    done = fit(network, groups_of(network), recipe, mask_task(setup, steps, seed), path, say)
    assert isinstance(done, AtResolution)  # noqa: S101 -- what went in
    return done


@dataclass(frozen=True)
class Judgement:
    """On the pictures that are held out; counts are a confusion matrix a frame ``(frames, classes, classes)``."""

    miou: float
    bits_per_pixel: float
    level: int
    counts: NDArray[np.int64]


def judge(network: AtResolution, setup: MaskSetup, most_bits_per_pixel: float) -> Judgement:
    """The best level within the bits; where none is within, the one of fewest.

    Symbols are counted by the rate model, labels by the label-map coder with its general tables.
    """
    sends_symbols = network.whole.design.sends_symbols
    levels = range(len(setup.objective.price) if sends_symbols else 1)
    found = [_judged_at(network.eval(), setup, level) for level in levels]
    within = [each for each in found if each.bits_per_pixel <= most_bits_per_pixel]
    return max(within, key=lambda each: each.miou) if within else min(found, key=lambda each: each.bits_per_pixel)


@torch.no_grad()
def _judged_at(network: AtResolution, setup: MaskSetup, level: int) -> Judgement:
    names, bits, counts = setup.classes.names, 0.0, []
    for sample in setup.held:
        picture = torch.from_numpy(normalise(sample.picture))[None]
        outcome = network(picture, torch.tensor([level]), rounded_rate=True)
        bits += float(outcome.bits.sum())
        if network.whole.design.sends_labels:
            sent = one_hot_labels(network.camera(picture)[0])[0].argmax(0).to(torch.uint8).numpy()
            bits += 8 * len(encode_labels(np.ascontiguousarray(sent), len(names), general_label_tables()))
        matrix = ConfusionMatrix(len(names), setup.classes.ignore_index)
        matrix.update(sample.labels, outcome.logits[0].argmax(0).to(torch.uint8).numpy())
        counts.append(matrix.counts)
    whole = ConfusionMatrix(len(names), setup.classes.ignore_index)
    whole.counts = np.sum(counts, axis=0)
    pixels = sum(sample.labels.size for sample in setup.held)
    return Judgement(whole.miou, bits / pixels, level, np.stack(counts))
