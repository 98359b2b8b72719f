"""When frames arrive: one seeded schedule, so that both sides see the same arrivals. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame: when, seconds from the start, of which stream, and its place in that stream's sequence."""

    at_s: float
    stream: int
    sequence: int


def poisson_arrivals(frames_per_s: float, length_s: float, streams: int, seed: int) -> list[Arrival]:
    """Arrivals of a Poisson process, each of a stream drawn evenly.

    Raises:
        ValueError: a rate, length or number of streams that is not above 0.
    """
    if min(frames_per_s, length_s, streams) <= 0:
        raise ValueError("rate, length and streams must be above 0")
    random = np.random.default_rng(seed)
    count = max(1, round(frames_per_s * length_s))
    times = np.cumsum(random.exponential(1 / frames_per_s, count))
    return number_arrivals(
        [(float(at), int(s)) for at, s in zip(times, random.integers(0, streams, count), strict=True)]
    )


def even_arrivals(frames_per_s: float, length_s: float, stream: int, phase: float) -> list[tuple[float, int]]:
    """A camera's arrivals at its steady rate, the first after ``phase`` (0 to 1) of a period."""
    return [((i + phase) / frames_per_s, stream) for i in range(round(frames_per_s * length_s))]


def number_arrivals(arrivals: list[tuple[float, int]]) -> list[Arrival]:
    """Arrivals in order of time, counted within each stream from 0."""
    counts: dict[int, int] = {}
    numbered = []
    for at_s, stream in sorted(arrivals):
        sequence = counts.get(stream, 0)
        counts[stream] = sequence + 1
        numbered.append(Arrival(at_s, stream, sequence))
    return numbered
