"""What a run is judged on while it runs: blocks of consecutive frames that it does not train on.

Neighbouring frames of a drive look alike, so single frames picked at random would flatter. Choices between recipes are
made on these blocks; what is reported is measured on drives that neither training nor choice has seen.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from narrows.models.dataset import ClassList, FolderDataset, LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.network import JointNetwork
from narrows.models.training.augment import normalise
from narrows.models.training.bad_pictures import worsen


def block_names(names: Sequence[str], share: float) -> tuple[str, ...]:
    """Of each drive ``share`` of its frames: a block from its middle. Names without ``_`` are of one drive.

    Example:
        >>> block_names(["a_1", "a_2", "a_3", "a_4", "b_1", "b_2", "b_3", "b_4"], 0.25)
        ('a_2', 'b_2')
    """
    return tuple(name for drive in _drives(names) for name in _middle(drive, share))


def drive_of(name: str) -> str:
    """A sample's drive, by its name; of a name without ``_`` it is empty.

    Example:
        >>> drive_of("0006R0_f00930")
        '0006R0'
    """
    drive, separator, _ = name.partition("_")
    return drive if separator else ""


def _drives(names: Sequence[str]) -> Iterator[list[str]]:
    return (list(drive) for _, drive in groupby(sorted(names, key=_place), key=drive_of))


def _place(name: str) -> tuple[str, list[tuple[int, str]]]:
    """By drive, then as the frames follow each other: 2 before 10, however many digits are written."""
    parts = re.findall(r"\d+|\D+", name)
    return drive_of(name), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _middle(drive: list[str], share: float) -> list[str]:
    count = round(len(drive) * share)
    begin = (len(drive) - count) // 2
    return drive[begin : begin + count]


def split_off(dataset: FolderDataset, share: float) -> tuple[list[LabelledPicture], list[LabelledPicture]]:
    """Samples to train on, and samples to check on.

    Raises:
        PictureError, DatasetError: one cannot be read.
    """
    checked = set(block_names(dataset.names, share))
    samples = list(dataset.at_its_size())
    return [s for s in samples if s.name not in checked], [s for s in samples if s.name in checked]


@dataclass(frozen=True)
class CheckScore:
    """Of whole pictures at one rate level: mIoU as a share, bits per pixel as the rate model counts them."""

    miou: float
    bits_per_pixel: float


@torch.no_grad()
def check(
    network: JointNetwork, samples: Sequence[LabelledPicture], classes: ClassList, levels: Sequence[int]
) -> dict[int, CheckScore]:
    """How a network in evaluation mode does at some rate levels, symbols rounded."""
    device = next(network.parameters()).device
    matrices = {level: ConfusionMatrix(len(classes.names), classes.ignore_index) for level in levels}
    bits = dict.fromkeys(levels, 0.0)
    for sample in samples:
        picture = torch.from_numpy(normalise(sample.picture))[None].to(device)
        latent = network.encoder(picture.contiguous(memory_format=torch.channels_last))
        for level, matrix in matrices.items():
            at = torch.tensor([level], device=device)
            gain = network.gains(at)
            symbols = (latent * gain).round()
            logits = network.decoder(symbols / gain, sample.labels.shape)
            matrix.update(sample.labels, logits[0].argmax(0).to(torch.uint8).cpu().numpy())
            bits[level] += float(network.rate(symbols, at).sum())
    pixels = sum(sample.labels.size for sample in samples)
    return {level: CheckScore(matrix.miou, bits[level] / pixels) for level, matrix in matrices.items()}


def worsened(sample: LabelledPicture) -> LabelledPicture:
    """The sample as a bad picture, the same one at every check."""
    chance = np.random.default_rng(zlib.crc32(sample.name.encode()))
    return LabelledPicture(sample.name, worsen(sample.picture, chance), sample.labels)
