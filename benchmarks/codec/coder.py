"""What is compared: a name, and a pair of functions from a subject to bytes and back."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Coder:
    """One side of the comparison; ``subjects`` are what it codes, one a frame. Without ``decode`` it cannot go back."""

    name: str
    subjects: Sequence[Any]
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any] | None
    size_bytes: Callable[[Any], int] = len


@dataclass(frozen=True)
class Score:
    """Per frame: mean bytes, and milliseconds as the median over the rounds of a round's mean."""

    coder: str
    bytes: float
    encode_ms: float
    decode_ms: float | None


def race(coders: Sequence[Coder], rounds: int) -> list[Score]:
    """Let every coder code all its frames, round by round in turn, so that a busy moment of the machine hits all."""
    encode_ms: dict[str, list[float]] = {coder.name: [] for coder in coders}
    decode_ms: dict[str, list[float]] = {coder.name: [] for coder in coders}
    sizes: dict[str, float] = {}
    for _ in range(rounds):
        for coder in coders:
            began = time.perf_counter()
            coded = [coder.encode(subject) for subject in coder.subjects]
            halfway = time.perf_counter()
            if (decode := coder.decode) is not None:
                for code in coded:
                    decode(code)
            ended = time.perf_counter()
            encode_ms[coder.name].append((halfway - began) * 1e3 / len(coded))
            decode_ms[coder.name].append((ended - halfway) * 1e3 / len(coded))
            sizes[coder.name] = statistics.fmean(coder.size_bytes(code) for code in coded)
    return [
        Score(
            coder.name,
            sizes[coder.name],
            statistics.median(encode_ms[coder.name]),
            statistics.median(decode_ms[coder.name]) if coder.decode else None,
        )
        for coder in coders
    ]
