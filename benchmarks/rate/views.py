"""The frozen encoder's answers to augmented training pictures, on disk: every head learns from the same ones.

::

    VIEWS/train.latent.npy    float32 (N, C, h, w)      VIEWS/train.labels.npy   uint8 (N, H, W)
    VIEWS/train.at8.npy, train.at16.npy   float16, the trunk's features that separate decoding rebuilds

The same names for ``held`` (a block cut from train, plain views). Latents are kept before the gains: quantising
them for any level at the time of use gives the very symbols of that level.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.rate.made_of import digest, digest_of
from benchmarks.rate.plan import Plan
from narrows.contract.errors import DatasetError
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.nn.network import JointNetwork
from narrows.models.training.augment import Augmentation, augment, normalise
from narrows.models.training.rounds import Say, rounds
from narrows.models.training.run_folder import locked
from narrows.runtime.writing import write_file

KINDS = ("latent", "at8", "at16", "labels")
_AT_ONCE = 8
View = tuple[NDArray[np.float32], NDArray[np.uint8]]


@dataclass(frozen=True)
class Views:
    """One part of the cache, memory-mapped; see the module for shapes."""

    latent: NDArray[np.float32]
    at8: NDArray[np.float16]
    at16: NDArray[np.float16]
    labels: NDArray[np.uint8]

    @classmethod
    def open(cls, folder: Path, part: str) -> Views:
        """Open a part that :func:`make_views` wrote."""
        return cls(*(np.load(folder / f"{part}.{kind}.npy", mmap_mode="r") for kind in KINDS))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Parts:
    """The training split, with the block for choosing checkpoints cut out."""

    train: tuple[LabelledPicture, ...]
    held: tuple[LabelledPicture, ...]


def split_train(data: FolderDataset, plan: Plan) -> Parts:
    """Cut the held-out block: the last pictures of one drive, in order.

    Raises:
        DatasetError: the drive has too few pictures, or one is of another size than the networks are made for.
    """
    drive = [name for name in data.names if name.startswith(plan.held_out_drive)]
    if len(drive) <= plan.held_out:
        raise DatasetError(
            f"{data.root}: {len(drive)} pictures of drive {plan.held_out_drive}; {plan.held_out} are cut"
        )
    held = drive[-plan.held_out :]
    kept = [name for name in data.names if name not in set(held)]
    step = max(1, len(kept) // plan.train_limit) if plan.train_limit else 1
    parts = (replace(data, names=tuple(names)).at_its_size() for names in (kept[::step], held))
    return Parts(*map(tuple, parts))


def make_views(
    network: JointNetwork, parts: Parts, size: tuple[int, int], plan: Plan, folder: Path, checkpoint: Path, say: Say
) -> None:
    """Write the cache for pictures of ``size`` (width, height), unless it is there, of this checkpoint, plan, data.

    Raises:
        ConfigError: another process writes it.
    """
    with locked(folder):
        _make_views(network, parts, size, plan, folder, checkpoint, say)


def _make_views(
    network: JointNetwork, parts: Parts, size: tuple[int, int], plan: Plan, folder: Path, checkpoint: Path, say: Say
) -> None:
    made_of = {
        "checkpoint": digest(checkpoint),
        "views": plan.views,
        "pictures": [digest_of(parts.train), digest_of(parts.held)],
    }
    note = folder / "made_of.json"
    if note.is_file() and json.loads(note.read_text()) == made_of:
        say("views: cached")
        return
    note.unlink(missing_ok=True)
    how = Augmentation(size, (1.0, 1.5))
    _write(network, list(_views(parts.train, how, plan.views)), folder, "train", say)
    _write(network, list(_views(parts.held, how, 1)), folder, "held", say)
    write_file(note, json.dumps(made_of) + "\n")


def _views(samples: Sequence[LabelledPicture], how: Augmentation, count: int) -> Iterator[View]:
    """``count`` rounds over the samples: plain, mirrored, then random ones."""
    for view in range(count):
        for index, sample in enumerate(samples):
            if view < 2:
                turn = slice(None, None, -1 if view else 1)
                yield normalise(sample.picture)[:, :, turn], sample.labels[:, turn]
            else:
                pixels, labels = augment(sample, how, random.Random(view * 100_003 + index))
                yield pixels, labels.astype(np.uint8)


@torch.no_grad()
def _write(network: JointNetwork, views: list[View], folder: Path, part: str, say: Say) -> None:
    arrays: dict[str, NDArray[np.generic]] = {}
    for start in rounds(f"views of {part}", range(0, len(views), _AT_ONCE), say):
        some = views[start : start + _AT_ONCE]
        pictures = torch.from_numpy(np.stack([view[0] for view in some])).to(memory_format=torch.channels_last)
        answers: list[NDArray[np.generic]] = [*_encode(network, pictures), np.stack([view[1] for view in some])]
        for kind, values in zip(KINDS, answers, strict=True):
            if kind not in arrays:
                path, shape = folder / f"{part}.{kind}.npy", (len(views), *values.shape[1:])
                arrays[kind] = np.lib.format.open_memmap(path, mode="w+", dtype=values.dtype, shape=shape)
            arrays[kind][start : start + len(some)] = values


def _encode(
    network: JointNetwork, pictures: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.float16], NDArray[np.float16]]:
    taken: list[Tensor] = []
    hook = network.encoder.trunk.register_forward_hook(lambda _module, _inputs, outputs: taken.extend(outputs))
    latent = network.encoder(pictures)
    hook.remove()
    _, at8, at16 = taken
    return latent.numpy(), at8.half().numpy(), at16.half().numpy()
