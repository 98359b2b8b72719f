"""What arrived of what was offered, how good it was and how old. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.uplink.traces import Trace
from narrows.models.evaluation import ConfusionMatrix

ON_TIME_S = 1.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mask: which picture, when it was captured and published (seconds since the trace began), rate level, labels."""

    name: str
    captured_s: float
    published_s: float
    level: int
    labels: NDArray[np.uint8]

    @property
    def age_s(self) -> float:
        """From capture to mask; both ends read one clock here, so there is no offset to estimate."""
        return self.published_s - self.captured_s


@dataclass(frozen=True, slots=True)
class Score:
    """One run.

    Attributes:
        offered: frames that the full rate makes in the trace's time.
        delivered: of these, masks younger than a second; one that is missing or late counts as nothing.
        miou: of the delivered ones.
        delivered_miou: ``miou`` times the share that was delivered.
        p95_age_s: of all masks whose way met no outage.
        skipped: frames that arrived and had no mask: the cloud was late.
        used_kbit_s: what crossed the link, headers of all layers counted.
        mean_level, level_changes: what was sent.
    """

    offered: int
    delivered: int
    miou: float
    delivered_miou: float
    p95_age_s: float
    skipped: int
    used_kbit_s: float
    mean_level: float
    level_changes: int


def score(
    masks: Sequence[Arrived],
    skipped: int,
    trace: Trace,
    frames_per_s: float,
    used_bytes: int,
    true_labels: Callable[[str], NDArray[np.uint8]],
    matrix: ConfusionMatrix,
) -> Score:
    """Judge one run's masks."""
    offered = round(frames_per_s * trace.length_s)
    within = [mask for mask in masks if 0 <= mask.captured_s < trace.length_s]
    delivered = [mask for mask in within if mask.age_s < ON_TIME_S][:offered]
    for mask in delivered:
        matrix.update(true_labels(mask.name), mask.labels)
    up = sorted(mask.age_s for mask in within if not trace.away(mask.captured_s, mask.published_s))
    levels = [mask.level for mask in within]
    miou = matrix.miou if delivered else 0.0
    return Score(
        offered=offered,
        delivered=len(delivered),
        miou=miou,
        delivered_miou=miou * len(delivered) / offered,
        p95_age_s=up[math.ceil(0.95 * len(up)) - 1] if up else math.nan,
        skipped=skipped,
        used_kbit_s=used_bytes / 125 / trace.length_s,
        mean_level=sum(levels) / len(levels) if levels else math.nan,
        level_changes=sum(a != b for a, b in pairwise(levels)),
    )


def ratio_to_best(ours: Score, fixed: Mapping[int, Score]) -> float:
    """Our delivered mIoU over that of the fixed level that did best on this trace."""
    best = max(each.delivered_miou for each in fixed.values())
    return ours.delivered_miou / best if best > 0 else math.inf
