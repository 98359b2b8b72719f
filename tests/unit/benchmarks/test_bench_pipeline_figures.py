"""The pure parts of bench-pipeline and bench-fairness: schedules, percentiles, rates, shares."""

import math
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fairness.shares import fair_shares, worst_deviation
from benchmarks.pipeline.__main__ import growth_ratios
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.processor_time import ProcessorTime
from benchmarks.pipeline.schedule import even_arrivals, number_arrivals, poisson_arrivals
from benchmarks.pipeline.stack import mean_batch, stage_means_ms
from benchmarks.pipeline.statistics_of import median_of, percentile_ms, steady_rate
from narrows.contract.bundle import Bundle
from narrows.contract.wire.feature import FeaturePacket, PacketKind


def test_the_same_seed_gives_both_sides_the_same_arrivals() -> None:
    assert poisson_arrivals(50, 4, 8, seed=3) == poisson_arrivals(50, 4, 8, seed=3)
    assert poisson_arrivals(50, 4, 8, seed=3) != poisson_arrivals(50, 4, 8, seed=4)


def test_arrivals_have_the_rate_asked_for_and_are_spread_as_a_poisson_process() -> None:
    arrivals = poisson_arrivals(200, 100, 4, seed=1)
    gaps_s = [b.at_s - a.at_s for a, b in pairwise(arrivals)]
    mean_s = sum(gaps_s) / len(gaps_s)
    assert mean_s == pytest.approx(1 / 200, rel=0.03)
    assert sum(gap > mean_s for gap in gaps_s) / len(gaps_s) == pytest.approx(math.exp(-1), abs=0.02)
    assert all(count == pytest.approx(5000, rel=0.1) for count in Counter(a.stream for a in arrivals).values())


def test_each_stream_is_numbered_from_0_in_the_order_of_its_frames() -> None:
    arrivals = number_arrivals(even_arrivals(10, 2, 0, 0.3) + even_arrivals(5, 2, 1, 0.0))
    assert [a.at_s for a in arrivals] == sorted(a.at_s for a in arrivals)
    for stream, frames in ((0, 20), (1, 10)):
        assert [a.sequence for a in arrivals if a.stream == stream] == list(range(frames))


def test_a_schedule_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        poisson_arrivals(0, 1, 1, seed=0)


def test_percentiles_are_milliseconds() -> None:
    assert percentile_ms([n / 1000 for n in range(101)], 99) == pytest.approx(99)
    assert math.isnan(percentile_ms([], 50))


@given(st.integers(1, 16), st.floats(0.001, 1.0))
def test_a_steady_rate_does_not_depend_on_where_batches_begin(batch: int, period_s: float) -> None:
    ended_s = [(i // batch) * period_s for i in range(100 * batch)]
    assert steady_rate(ended_s) == pytest.approx(batch / period_s, rel=0.05)


def test_start_and_end_do_not_count_towards_a_steady_rate() -> None:
    ended_s = [5.0] + [10 + i / 100 for i in range(98)] + [30.0]
    assert steady_rate(ended_s) == pytest.approx(100, rel=0.01)


def test_too_few_ends_give_no_rate() -> None:
    with pytest.raises(ValueError, match="too few"):
        steady_rate([1.0, 2.0])


def test_the_median_of_rounds_ignores_one_that_was_disturbed() -> None:
    assert median_of([0.9, 0.91, 0.1]) == 0.9


def test_processor_time_is_split_by_part_and_frame() -> None:
    used = ProcessorTime(3.0, 2.0, 1.5, 9.0).since(ProcessorTime(1.0, 1.0, 1.0, 1.0))
    assert used.outside_triton_s == 3.5
    assert used.per_frame_ms(1000) == {"loop": 2.0, "threads": 1.0, "redis": 0.5, "triton": 8.0}


def test_stages_and_batches_are_means_between_two_readings() -> None:
    stage = (("stage", "pack"),)
    before = {("narrows_stage_seconds_sum", stage): 1.0, ("narrows_stage_seconds_count", stage): 10.0,
              ("narrows_batch_size_sum", ()): 8.0, ("narrows_batch_size_count", ()): 1.0}  # fmt: skip
    after = {("narrows_stage_seconds_sum", stage): 2.0, ("narrows_stage_seconds_count", stage): 510.0,
             ("narrows_batch_size_sum", ()): 20.0, ("narrows_batch_size_count", ()): 4.0}  # fmt: skip
    assert stage_means_ms(before, after) == {"pack": pytest.approx(2.0)}
    assert mean_batch(before, after) == 4.0


def test_what_a_stream_does_not_want_goes_to_the_others_by_weight() -> None:
    assert fair_shares(70, [100, 100, 100], [1, 2, 4]) == pytest.approx([10, 20, 40])
    assert fair_shares(70, [4, 100, 100], [1, 1, 2]) == pytest.approx([4, 22, 44])
    assert fair_shares(70, [10, 10, 10], [1, 2, 4]) == pytest.approx([10, 10, 10])


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.1, 10)), min_size=1, max_size=8),
    st.floats(0.1, 500),
)
def test_shares_use_all_capacity_and_give_nobody_more_than_wanted(
    streams: list[tuple[float, float]], capacity: float
) -> None:
    offered, weights = [s[0] for s in streams], [s[1] for s in streams]
    shares = fair_shares(capacity, offered, weights)
    assert sum(shares) == pytest.approx(min(capacity, sum(offered)))
    assert all(share <= wanted * (1 + 1e-9) for share, wanted in zip(shares, offered, strict=True))


def test_the_worst_deviation_is_relative_to_what_is_due() -> None:
    assert worst_deviation([50, 50], [1, 1]) == 0
    assert worst_deviation([60, 40], [1, 1]) == pytest.approx(0.2)


def grown(streams: int, full_ms: float, at_load_ms: float) -> dict[str, Any]:
    return {
        "streams": streams,
        "full": {"cpu_ms_outside_triton": full_ms},
        "at_load": {"cpu_ms_outside_triton": at_load_ms},
    }


def test_growth_is_the_most_streams_by_the_fewest() -> None:
    rows = [grown(10, 0.5, 2.0), grown(5000, 0.6, 3.0), grown(100, 9.0, 9.0)]
    assert growth_ratios(rows) == {"growth_cpu_ratio": 1.2, "growth_cpu_ratio_at_load": 1.5}
    assert growth_ratios(rows[:1]) == {}


def test_each_stream_gets_whole_chains_from_their_keys_on(tmp_path: Path) -> None:
    """A P packet is dealt out behind the very packet that it was coded against."""
    for picture in sorted(Path("samples").rglob("*.jpg"))[:2]:
        shutil.copy(picture, tmp_path)
    made = Packets.chains(Bundle.open(Path("bundles/demo")), tmp_path, 2, predicted=2)
    for salt in range(3):
        bodies = [FeaturePacket.parse(made.body(1, sequence, salt)) for sequence in range(7)]
        assert [body.kind is PacketKind.KEY for body in bodies] == [sequence % 3 == 0 for sequence in range(7)]
        for before, body in pairwise(bodies):
            assert body.kind is PacketKind.KEY or body.reference_digest == before.own_digest
