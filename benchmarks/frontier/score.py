"""A finished network on the drive that was left out: bytes of each frame, and a confusion matrix of each frame.

Matrices are kept a frame, so that two designs can be compared on the same frames (paired), in blocks that follow each
other: neighbouring frames look alike, and a bootstrap over single frames would flatter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.frontier.coding import DIVISORS, PACKET_BYTES, SECTION_BYTES, SENT_DIVISOR, LabelCoder, SymbolCoder
from benchmarks.frontier.data import Parts
from benchmarks.frontier.plan import PRICES
from benchmarks.rate.labelmaps import larger
from narrows.contract.codec import quantise
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.models.dataset import LabelledPicture
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.weak_designs import Design, WeakNetwork
from narrows.models.training.augment import normalise

COUNTED = 96
"""Training pictures that tables are counted on."""
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Scored:
    """One way to send: a size of the mask, or a rate level.

    Attributes:
        frame_bytes: of each frame, packet and all ``(frames,)``.
        counts: confusion matrices ``(frames, classes, classes)``.
    """

    frame_bytes: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def miou(self) -> float:
        """Of all frames."""
        return miou_of(self.counts.sum(axis=0))


@dataclass(frozen=True)
class _Look:
    """What a camera makes of a picture: its masks by divisor, and the latent ``(C, h, w)``."""

    masks: Mapping[int, Labels]
    latent: NDArray[np.float32] | None


@torch.no_grad()
def score(network: WeakNetwork, parts: Parts) -> Mapping[str, Scored]:
    """Every way to send that the design has: ``1/4`` and the like, or ``level 0``."""
    network.eval()
    classes = len(parts.classes.names)
    counted = [_look(network, sample, classes) for sample in some(parts.train, COUNTED)]
    judged = [_look(network, sample, classes) for sample in parts.judged]
    labels = None
    if network.design.sends_labels:
        labels = LabelCoder.count([[look.masks[divisor] for look in counted] for divisor in DIVISORS], classes)
    if network.design is Design.EDGE:
        assert labels is not None
        return {f"1/{divisor}": _masks(judged, parts, labels, divisor) for divisor in DIVISORS}
    if network.design is Design.REFINED:
        assert labels is not None
        sizes = [PACKET_BYTES + labels.bytes_of(look.masks[SENT_DIVISOR]) for look in judged]
        masks = [_decoded(network, look, None, parts.size) for look in judged]
        return {f"1/{SENT_DIVISOR}": scored_masks(sizes, masks, parts)}
    return {f"level {level}": _symbols(network, counted, judged, parts, labels, level) for level in range(len(PRICES))}


def some(samples: Sequence[LabelledPicture], most: int) -> Sequence[LabelledPicture]:
    """At most so many, evenly."""
    return samples[:: -(-len(samples) // most)]


def _look(network: WeakNetwork, sample: LabelledPicture, classes: int) -> _Look:
    logits, latent, _ = network.camera.look(torch.from_numpy(normalise(sample.picture))[None])
    masks: dict[int, Labels] = {}
    if logits is not None:
        quarter = _argmax(logits)
        finer = functional.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)
        height, width = (-(-side // 2) for side in sample.labels.shape)
        masks = {2: _argmax(finer)[:height, :width], 4: quarter, 8: divide_labels(quarter, 2, classes)}
    return _Look(masks, None if latent is None else latent[0].numpy())


def _argmax(logits: Tensor) -> Labels:
    found: Labels = logits[0].argmax(dim=0).to(torch.uint8).numpy()
    return found


def _masks(judged: Sequence[_Look], parts: Parts, coder: LabelCoder, divisor: int) -> Scored:
    sizes = [PACKET_BYTES + coder.bytes_of(look.masks[divisor]) for look in judged]
    return scored_masks(sizes, [larger(look.masks[divisor], divisor, parts.size) for look in judged], parts)


def _symbols(
    network: WeakNetwork,
    counted: Sequence[_Look],
    judged: Sequence[_Look],
    parts: Parts,
    label_coder: LabelCoder | None,
    level: int,
) -> Scored:
    assert network.gains is not None
    gain = network.gains.log_gain[level].exp().numpy()
    ratio = network.shape.latent_stride // SENT_DIVISOR
    classes = len(parts.classes.names)
    training = np.stack([quantise(look.latent, gain) for look in counted if look.latent is not None])
    under = None
    if label_coder is not None:
        under = np.stack([divide_labels(look.masks[SENT_DIVISOR], ratio, classes) for look in counted])
    coder = SymbolCoder.count(training, under, classes)
    sizes, masks = [], []
    for look in judged:
        assert look.latent is not None
        symbols = coder.tables.silence(quantise(look.latent, gain), 0)
        below = None if label_coder is None else divide_labels(look.masks[SENT_DIVISOR], ratio, classes)
        payload = coder.encode(symbols, below)
        received = coder.decode(payload, symbols.shape, below)
        size = PACKET_BYTES + len(payload)
        if label_coder is not None:
            size += SECTION_BYTES + label_coder.bytes_of(look.masks[SENT_DIVISOR])
        sizes.append(size)
        masks.append(_decoded(network, look, received.astype(np.float32) / gain[:, None, None], parts.size))
    return scored_masks(sizes, masks, parts)


def _decoded(network: WeakNetwork, look: _Look, latent: NDArray[np.float32] | None, size: tuple[int, int]) -> Labels:
    """The cloud's mask of what was received."""
    assert network.cloud is not None
    labels, grid = None, (-(-size[0] // SENT_DIVISOR), -(-size[1] // SENT_DIVISOR))
    if network.design.sends_labels:
        many = network.cloud.classify.out_channels
        sent = torch.from_numpy(look.masks[SENT_DIVISOR].astype(np.int64))
        labels = functional.one_hot(sent, many).permute(2, 0, 1)[None].float()
    logits = network.cloud(None if latent is None else torch.from_numpy(latent)[None], labels, grid)
    return _argmax(functional.interpolate(logits, size=size, mode="bilinear", align_corners=False))


def scored_masks(sizes: Sequence[int], masks: Sequence[Labels], parts: Parts) -> Scored:
    """Bytes and a mask ``(H, W)`` of each frame of the drive that was left out."""
    counts = []
    for sample, mask in zip(parts.judged, masks, strict=True):
        matrix = ConfusionMatrix(len(parts.classes.names), parts.classes.ignore_index)
        matrix.update(sample.labels, mask)
        counts.append(matrix.counts)
    return Scored(np.array(sizes, dtype=np.int64), np.stack(counts))


def miou_of(counts: NDArray[np.int64]) -> float:
    """MIoU of a confusion matrix over frames ``(classes, classes)``."""
    matrix = ConfusionMatrix(len(counts), 255)
    matrix.counts = counts
    return matrix.miou


def keep(path: Path, scored: Mapping[str, Scored]) -> None:
    """Write it whole, or not."""
    whole = path.with_suffix(".writing.npz")
    arrays = {
        f"{name}|{what}": getattr(each, what) for name, each in scored.items() for what in ("frame_bytes", "counts")
    }
    np.savez_compressed(whole, **arrays)
    whole.replace(path)


def read(path: Path) -> Mapping[str, Scored]:
    """What :func:`keep` wrote."""
    with np.load(path) as stored:
        names = dict.fromkeys(key.partition("|")[0] for key in stored.files)
        return {name: Scored(stored[f"{name}|frame_bytes"], stored[f"{name}|counts"]) for name in names}
