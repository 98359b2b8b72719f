"""What a head is trained on: positions of training frames, as the frozen camera side and the decoder's trunk make them.

::

    picture ─► int8 encoder ─► symbols at a rate level (kept) ─► trunk ─► features at positions drawn (kept) + label

Encoder and trunk do not change, so both run once for a frame, not once an epoch.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import quantise
from narrows.models.dataset import FolderDataset, LabelledPicture
from narrows.models.export.graphs import PICTURE
from narrows.models.export.int8_decoder import decoder_feed
from narrows.models.heads.network import cut_grid, grid_of, rise
from narrows.models.heads.trunk import Trunk
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions

SYMBOLS, POINTS = "symbols.npz", "points.npz"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Points:
    """Features ``(n, channels)`` float16 and labels ``(n,)`` uint8 of positions."""

    features: NDArray[np.float16]
    labels: NDArray[np.uint8]


def views_of(data: FolderDataset) -> Iterator[LabelledPicture]:
    """Each frame and its mirror image."""
    for sample in data.at_its_size():
        yield sample
        mirrored = np.ascontiguousarray(sample.picture[:, ::-1]), np.ascontiguousarray(sample.labels[:, ::-1])
        yield LabelledPicture(f"{sample.name}-mirrored", *mirrored)


def cached_symbols(bundle: Bundle, data: FolderDataset, run: Path, say: Say) -> tuple[NDArray[np.int8], list[int]]:
    """Symbols ``(views, C, h, w)`` of every view, and the rate level of each: all levels in turn.

    They are kept in the run folder; a folder that holds those of another bundle or data set is filled anew.
    """
    key = _key(bundle, data)
    path = run / SYMBOLS
    if path.is_file():
        with np.load(path) as kept:
            if str(kept["key"]) == key:
                return kept["symbols"], [int(level) for level in kept["levels"]]
    encode = _encoder(bundle)
    count, begun_s = 2 * len(data), time.monotonic()
    symbols, levels = [], []
    for index, view in enumerate(views_of(data)):
        level = (index // 2 + index % 2 * 2) % len(bundle.gains)
        symbols.append(bundle.tables.silence(quantise(encode(view.picture), bundle.gains[level]), level))
        levels.append(level)
        _progress(say, "encoding", index + 1, count, begun_s)
    _save(path, key=key, symbols=np.stack(symbols), levels=levels)
    return np.stack(symbols), levels


def cached_points(bundle: Bundle, data: FolderDataset, run: Path, each: int, seed: int, say: Say) -> Points:
    """``each`` labelled positions of every view, drawn once and kept in the run folder."""
    key = f"{_key(bundle, data)} {bundle.decoder_sha256} {each} {seed}"
    path = run / POINTS
    if path.is_file():
        with np.load(path) as kept:
            if str(kept["key"]) == key:
                return Points(kept["features"], kept["labels"])
    symbols, levels = cached_symbols(bundle, data, run, say)
    trunk, chance, begun_s = Trunk(bundle.decoder_path), random.Random(seed), time.monotonic()
    features, labels = [], []
    for index, (view, plane, level) in enumerate(zip(views_of(data), symbols, levels, strict=True)):
        grid = cut_grid(view.labels.shape)
        seen = labels_on(view.labels, grid)
        rows, columns = draw(seen, len(data.classes.names), each, chance)
        features.append(trunk_on_grid(trunk, plane, level, grid)[:, rows, columns].T.astype(np.float16))
        labels.append(seen[rows, columns])
        _progress(say, "reading the trunk", index + 1, len(levels), begun_s)
    points = Points(np.concatenate(features), np.concatenate(labels))
    _save(path, key=key, features=points.features, labels=points.labels)
    return points


def labels_on(labels: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.uint8]:
    """A label map at the centres of a coarser grid's positions."""
    rows, columns = (
        ((np.arange(count) + 0.5) * side / count).astype(np.intp)
        for count, side in zip(grid, labels.shape, strict=True)
    )
    seen: NDArray[np.uint8] = labels[rows[:, None], columns]
    return seen


def draw(
    labels: NDArray[np.uint8], classes: int, most: int, chance: random.Random
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of positions whose label counts, at most ``most``, all alike."""
    known = np.flatnonzero(labels.reshape(-1) < classes)
    chosen = known if len(known) <= most else known[chance.sample(range(len(known)), most)]
    rows, columns = np.unravel_index(chosen, labels.shape)
    return rows, columns


@torch.no_grad()
def trunk_on_grid(trunk: Trunk, symbols: NDArray[np.int8], level: int, grid: tuple[int, int]) -> NDArray[np.float32]:
    """All that a head reads of a frame, on the finest grid: ``(channels, height, width)``."""
    tensors = [torch.from_numpy(tensor)[None] for tensor in trunk(decoder_feed(symbols, level))]
    full = grid_of(trunk.tensors)
    finest = tensors[-1][:, :, : grid[0], : grid[1]]
    risen = torch.cat([*(rise(tensor, full, grid) for tensor in tensors[:-1]), finest], dim=1)
    return risen[0].numpy()


def _encoder(bundle: Bundle) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(bundle.encoder_path, options, providers=["CPUExecutionProvider"])

    def encode(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        latent: NDArray[np.float32] = session.run(None, {PICTURE: picture[None]})[0][0]
        return latent

    return encode


def _key(bundle: Bundle, data: FolderDataset) -> str:
    listing = json.dumps([bundle.manifest.symbols_sha256, str(data.root), data.split, data.names])
    return hashlib.sha256(listing.encode()).hexdigest()


def _save(path: Path, **arrays: NDArray[np.generic] | Sequence[int] | str) -> None:
    """Whole or absent, whenever the process is killed."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # anything that becomes an array
    partial.replace(path)


def _progress(say: Say, what: str, done: int, total: int, begun_s: float) -> None:
    if done % 50 == 0 or done == total:
        left_s = (time.monotonic() - begun_s) / done * (total - done)
        say(f"{what}: {done} of {total}, about {left_s / 60:.0f} min left")
