"""Times by stage are exposed as prometheus_client's own histogram would have them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from orchestrator.telemetry.metrics import Metrics
from orchestrator.telemetry.stage_times import StageTimes

BOUNDS_S = (0.125, 0.5, 2.0)
"""Sums of such times are exact, in whichever order they are added."""
times = st.lists(
    st.tuples(
        st.sampled_from(["decode", "total"]),
        st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.5, 2.0, 9.0]),
        st.integers(1, 3),
    )
)


def exposed(registry: CollectorRegistry) -> list[bytes]:
    """What a program would show: no program shows when a series was made."""
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


@given(times)
def test_every_series_is_that_of_a_plain_histogram(taken: list[tuple[str, float, int]]) -> None:
    own, plain = CollectorRegistry(), CollectorRegistry()
    stage_times = StageTimes("times_seconds", "Times", BOUNDS_S)
    own.register(stage_times)
    histogram = Histogram("times_seconds", "Times", ["stage"], registry=plain, buckets=BOUNDS_S)
    for stage, seconds, frames in taken:
        stage_times.observe(stage, seconds, frames)
        for _ in range(frames):
            histogram.labels(stage).observe(seconds)
    assert exposed(own) == exposed(plain)


def test_a_time_below_zero_counts_as_none() -> None:
    """The camera's clock may be ahead of the server's."""
    metrics = Metrics()
    metrics.took("uplink", -3.0)
    sample = metrics.registry.get_sample_value
    assert sample("narrows_stage_seconds_sum", {"stage": "uplink"}) == 0.0
    assert sample("narrows_stage_seconds_bucket", {"stage": "uplink", "le": "0.0005"}) == 1.0
