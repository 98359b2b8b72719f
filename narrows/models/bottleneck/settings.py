"""What is asked for when a network is compressed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from narrows.models.split.feeding import Normalisation

NETWORK, LABELS, BOTH = "network", "labels", "both"
NOISE = 0.1


@dataclass(frozen=True)
class Settings:
    """How a network is compressed.

    Attributes:
        cut: names of the tensors that cross.
        prune: share of the head's cost to remove.
        bits_weight: of the bits at the cut in that cost; multiply-accumulates have the rest.
        channels, stride: of the pair; no channels, no pair.
        noise: share of the variance of what crosses that rounding adds before training. Training makes steps coarser
            where bits cost more than they are worth, and hardly finer: what a step of the beginning loses stays lost.
        learn_from: ``network``, ``labels`` or ``both``.
        price: of a bit a pixel of the picture, in the loss.
        steps, batch: of the training; 0 steps for none.
        learning_rate: of the pair at its peak; the network's own weights have a tenth.
        seed: everything random hangs on it.
    """

    cut: tuple[str, ...]
    prune: float = 0.0
    bits_weight: float = 0.3
    channels: int = 0
    stride: int = 1
    noise: float = NOISE
    learn_from: str = NETWORK
    price: float = 0.3
    steps: int = 400
    batch: int = 2
    learning_rate: float = 3e-4
    seed: int = 1


@dataclass(frozen=True)
class Request:
    """Of which network, on which pictures, and where it is written.

    Attributes:
        input_shape: of the input, where the file leaves it open.
        split: of a labelled folder.
        classes: what folders of pictures may be called, beside their numbers.
        run: the folder that a stopped training goes on from.
        threads: of the training.
    """

    network: Path
    normalisation: Normalisation
    data: Path
    run: Path
    out: Path
    split: str = "train"
    classes: tuple[str, ...] = ()
    input_shape: tuple[int, ...] | None = None
    threads: int = 1


@dataclass(frozen=True)
class Compressed:
    """What came of it.

    Attributes:
        cut: names of what crosses now.
        agreement: with the unmodified network on pictures that were not trained on, a share from 0 to 1.
        bytes: of what crosses on these, coded; ``bytes_before``: of the unmodified cut, in 8 bits.
        pictures: how many these are.
    """

    cut: tuple[str, ...]
    head_macs: int
    head_macs_before: int
    agreement: float
    bytes: float
    bytes_before: float
    pictures: int
