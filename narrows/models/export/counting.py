"""Symbols of training pictures at every rate level: what the integer tables are counted on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import CodingTables, count_tables, quantise, remember
from narrows.contract.codec.counting import Moments
from narrows.contract.codec.symbols import Memory
from narrows.models.export.graphs import PICTURE
from narrows.models.export.motion import VIEWS, moving
from narrows.runtime.onnx_runtime import InferenceSession

Progress = Callable[[str], None]


def latents_of(encoder: Path, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Run an exported encoder over pictures ``(H, W, 3)`` uint8: latents ``(N, C, h, w)`` float32."""
    session = InferenceSession(encoder, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {PICTURE: picture[None]})[0] for picture in pictures])


def symbols_at(latents: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.int8]:
    """Rounded symbols ``(N, C, h, w)`` int8 of latents at one level's gain ``(C,)``."""
    return np.stack([quantise(latent, gain) for latent in latents])


def with_mirrored(pictures: Iterable[NDArray[np.uint8]]) -> Iterable[NDArray[np.uint8]]:
    """Each picture and its mirror image, so that tables do not learn one road's left and right."""
    for picture in pictures:
        yield picture
        yield np.ascontiguousarray(picture[:, ::-1])


def moments_at(clips: Sequence[NDArray[np.float32]], gain: NDArray[np.float32]) -> Moments:
    """What P packets meet in clips, latents ``(frames, C, h, w)``, at one level's gain: all frames but the first."""
    symbols: list[NDArray[np.int8]] = []
    memories: list[Memory] = []
    for clip in clips:
        first, *others = symbols_at(clip, gain)
        memory = remember(first)
        for plane in others:
            symbols.append(plane)
            memories.append(memory)
            memory = remember(plane, memory)
    return Moments(np.stack(symbols), np.stack(memories))


def count_both(
    encoder: Path,
    pictures: Sequence[NDArray[np.uint8]],
    latents: NDArray[np.float32],
    gains: NDArray[np.float32],
    say: Progress,
) -> CodingTables:
    """Tables for K, of the pictures' latents, and for P, of the same pictures set in motion.

    Args:
        encoder: the int8 encoder.
        pictures: ``(H, W, 3)`` uint8 of the encoder's size.
        latents: what the encoder made of them ``(N, C, h, w)``.
        gains: ``(levels, C)``.
        say: told what goes on.
    """
    say(f"running the int8 encoder over {VIEWS * len(pictures)} views of the pictures in motion")
    clips = [latents_of(encoder, clip) for clip in moving(pictures)]
    say(f"counting tables for {len(gains)} rate levels")
    keys = [symbols_at(latents, gain) for gain in gains]
    return count_tables(keys, [moments_at(clips, gain) for gain in gains])
