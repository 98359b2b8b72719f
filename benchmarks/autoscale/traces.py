"""The traces: made with a seed, and one of real requests, in the shape that the simulator reads.

A server does 104 frames/s here, cameras send 5 frames/s: some 20 cameras a server.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from orchestrator.scaling.simulate.trace import Trace, read_trace

FPS = 5.0
_HOUR_S = 3600.0


def diurnal(seed: int = 1) -> Trace:
    """A day in eight hours: 60 cameras at night, 600 at noon, a lunch dip, and every 20 s a few that come or go."""
    random = np.random.default_rng(seed)

    def streams(time_s: float) -> float:
        hour = 3 * time_s / _HOUR_S
        day = max(0.0, math.sin(math.pi * (hour - 5) / 15)) if 5 <= hour <= 20 else 0.0
        dip = 0.2 * math.exp(-((hour - 12.5) ** 2) / 0.5)
        return (60 + 540 * day * (1 - dip)) * (1 + 0.03 * random.standard_normal())

    return _trace("diurnal", 8 * _HOUR_S, 20.0, streams)


def step(seed: int = 1) -> Trace:
    """Ten times the cameras at once, and back after half an hour; twice."""
    del seed
    high = ((600.0, 2400.0), (4200.0, 6000.0))
    return _trace("step-x10", 2 * _HOUR_S, 10.0, lambda t: 600 if any(a <= t < b for a, b in high) else 60)


def flash_crowd(seed: int = 1) -> Trace:
    """A calm fleet; four times everyone looks, within a minute, and loses interest over ten."""
    random = np.random.default_rng(seed + 10)
    crowds = [(1200 + 1500 * n + random.uniform(0, 600), random.uniform(250, 600)) for n in range(4)]

    def streams(time_s: float) -> float:
        extra = 0.0
        for began_s, height in crowds:
            since_s = time_s - began_s
            if since_s >= 0:
                extra += height * min(1.0, since_s / 60) * math.exp(-max(0.0, since_s - 60) / 240)
        return 150 + extra

    return _trace("flash-crowd", 2 * _HOUR_S, 5.0, streams)


def sawtooth(seed: int = 1) -> Trace:
    """Up from 100 to 600 over ten minutes, down at once, again and again."""
    del seed
    return _trace("sawtooth", 2 * _HOUR_S, 5.0, lambda t: 100 + 500 * min(1.0, (t % 720) / 600) * ((t % 720) < 660))


def reconnect_storm(seed: int = 1) -> Trace:
    """400 cameras whose uplink fails, in part and again and again; back, each sends its spool beside what is live."""
    random = np.random.default_rng(seed + 20)
    times, counts, rates = [], [], []
    outages = [
        (300 + 600 * n + random.uniform(0, 240), random.uniform(15, 120), random.uniform(0.4, 1.0)) for n in range(11)
    ]
    for number in range(int(2 * _HOUR_S / 5)):
        time_s, share, spool = number * 5.0, 1.0, 1.0
        for began_s, length_s, part in outages:
            if began_s <= time_s < began_s + length_s:
                share = 1 - part
            elif began_s + length_s <= time_s < began_s + length_s + 40:
                spool = 1 + 0.5 * part
        times.append(time_s)
        counts.append(round(400 * share))
        rates.append(round(FPS * spool, 2))
    return Trace("reconnect-storm", tuple(times), tuple(counts), tuple(rates))


def azure_llm(seed: int = 1) -> Trace:
    """An hour of requests to two inference services of Azure, as cameras; see ``azure-llm-2023.txt``."""
    del seed
    return read_trace(Path(__file__).with_name("azure-llm-2023.csv"))


MAKERS: dict[str, Callable[[int], Trace]] = {
    "diurnal": diurnal,
    "step-x10": step,
    "flash-crowd": flash_crowd,
    "sawtooth": sawtooth,
    "reconnect-storm": reconnect_storm,
    "azure-llm-2023": azure_llm,
}


def _trace(name: str, length_s: float, every_s: float, streams: Callable[[float], float]) -> Trace:
    times = tuple(n * every_s for n in range(int(length_s / every_s)))
    counts = tuple(max(0, round(streams(each))) for each in times)
    return Trace(name, times, counts, (FPS,) * len(times))
