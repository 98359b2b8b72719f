"""The pure parts of bench-pipeline --against: what is counted, and which way round ratios are."""

import json
from typing import Any

import pytest

from benchmarks.pipeline.against import Round, at_load_summary, cpu_ms, saturated_summary
from benchmarks.pipeline.fleet import settings_record
from narrows.contract.wire.streams import Policy, StreamSettings


def test_what_triton_takes_beyond_the_same_frames_driven_straight_is_counted() -> None:
    path = {"cpu_ms_outside_triton": 0.9, "cpu_ms": {"triton": 0.3}}
    assert cpu_ms(path, straight_triton_ms=0.1) == pytest.approx(1.1)


def test_a_triton_that_takes_less_than_straight_makes_the_path_no_cheaper() -> None:
    assert cpu_ms({"cpu_ms_outside_triton": 0.9, "cpu_ms": {"triton": 0.1}}, straight_triton_ms=0.3) == 0.9


def a_round(rev_cpu_ms: float, present_cpu_ms: float, **common: float) -> Round:
    def side(used_ms: float, factor: float) -> dict[str, Any]:
        figures = {"frames_per_s": 1000 * factor, "straight_per_s": 16_000.0, "redis_ms": 0.1 / factor}
        return {"cpu_ms": used_ms, "p50_ms": 8 / factor, "p99_ms": 20 / factor, **figures, **common}

    return {"rev": side(rev_cpu_ms, 1.0), "present": side(present_cpu_ms, 4.0)}


def test_ratios_are_present_by_rev_and_the_median_round_counts() -> None:
    found = saturated_summary([a_round(1.0, 0.2), a_round(2.0, 0.5), a_round(1.0, 3.0)])
    assert found["cpu_ratio_against"] == 0.25
    assert found["cpu_ratio_against_range"] == [0.2, 3.0]
    assert found["path_ratio_against"] == 4.0
    assert found["redis_ratio_against"] == pytest.approx(0.25)
    assert found["throughput_ratio"] == 0.25
    assert found["each_side"]["rev"]["cpu_ms"] == 1.0


def test_latency_at_load_is_the_difference_to_rev() -> None:
    found = at_load_summary([a_round(2.0, 1.0), a_round(2.0, 0.8), a_round(2.0, 0.6)])
    assert found["cpu_ratio_against_at_load"] == 0.4
    assert (found["p50_ms_more_than_against"], found["p99_ms_more_than_against"]) == (-6.0, -15.0)


def test_a_stream_is_registered_with_what_is_no_default_so_that_earlier_dispatchers_read_it() -> None:
    settings = StreamSettings(policy=Policy.COMPLETE, weight=2.0)
    assert json.loads(settings_record(settings)) == {"policy": "complete", "weight": 2.0}
    assert StreamSettings.parse(settings_record(settings)) == settings
