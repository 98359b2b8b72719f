"""What `make bench-uplink` makes of masks, and the links that it plays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.uplink.score import Arrived, Score, ratio_to_best, score
from benchmarks.uplink.traces import Trace, traces
from narrows.models.evaluation import ConfusionMatrix

TRUE = np.array([[0, 1], [1, 1]], np.uint8)
STEADY = Trace("steady", (100.0,) * 2)
AWAY = Trace("away", (100.0, 0.0, 100.0))


def judged(masks: Sequence[Arrived], trace: Trace = STEADY) -> Score:
    return score(masks, 0, trace, 5.0, 2500, lambda _: TRUE, ConfusionMatrix(2, 255))


def mask(captured_s: float, age_s: float, level: int = 0) -> Arrived:
    return Arrived("a", captured_s, captured_s + age_s, level, TRUE)


def test_frames_that_are_missing_or_late_count_as_nothing() -> None:
    found = judged([mask(0.0, 0.1), mask(0.5, 0.2), mask(1.0, 1.5)])
    assert (found.offered, found.delivered) == (10, 2)
    assert found.miou == 1.0
    assert found.delivered_miou == pytest.approx(0.2)


def test_what_was_captured_outside_the_trace_is_no_part_of_it() -> None:
    assert judged([mask(-0.1, 0.1), mask(2.0, 0.1)]).delivered == 0
    assert judged([]).delivered_miou == 0.0
    assert math.isnan(judged([]).p95_age_s)


def test_the_age_is_of_masks_whose_way_met_no_outage() -> None:
    found = judged([mask(0.2, 0.3), mask(0.8, 1.4), mask(1.2, 0.9), mask(2.5, 0.2)], AWAY)
    assert found.p95_age_s == pytest.approx(0.3)


def test_levels_and_bytes_are_counted() -> None:
    found = judged([mask(0.0, 0.1, 0), mask(0.2, 0.1, 1), mask(0.4, 0.1, 1), mask(0.6, 0.1, 0)])
    assert found.level_changes == 2
    assert found.mean_level == 0.5
    assert found.used_kbit_s == pytest.approx(10.0)


def test_the_rival_is_the_best_fixed_level_of_this_trace() -> None:
    ours, good, bad = judged([mask(0, 0.1)]), judged([mask(0, 0.1), mask(0.2, 0.1)]), judged([])
    assert ratio_to_best(ours, {0: bad, 1: good}) == pytest.approx(0.5)


def test_the_six_traces_are_as_long_as_asked_and_a_share_is_a_share() -> None:
    found = traces(25)
    assert [trace.length_s for trace in found] == [25] * 6
    assert sum(trace.loss > 0 for trace in found) == 1
    assert any(trace.away(0, 25) for trace in found)
    shared = found[0].share(20)
    assert shared.kbit_s[0] == found[0].kbit_s[0] / 20
