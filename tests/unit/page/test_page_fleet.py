"""Claims about what is read from dispatchers' metrics, and what the fleet's figures are."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from narrows.contract.errors import ServiceError
from orchestrator.page.fleet import FleetHistory
from orchestrator.page.reading import Counted, DispatcherReading, parse_metrics
from orchestrator.processes.exposition import merged
from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.telemetry.metrics import Metrics


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def exposition(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_the_dispatchers_own_metrics_are_read() -> None:
    metrics = Metrics()
    for seconds in (0.1, 0.4, 0.5, 0.7):
        metrics.took("total", seconds)
        metrics.frames.labels("mask", "", "gates").inc()
    metrics.took("decode", 0.1)
    metrics.frames.labels("skipped", "stale", "gates").inc()
    metrics.frames.labels("refused", "crc_mismatch", "default").inc(2)
    metrics.payload_bytes.inc(5000)
    metrics.active_streams.set(12)
    metrics.backlog_frames.set(3)
    metrics.backlog_age.set(1.5)
    metrics.load_ratio.labels("aa").set(0.4)
    metrics.load_ratio.labels("bb").set(float("nan"))
    metrics.instances.labels("aa").set(2)
    metrics.capacity.labels("aa").set(120)
    exposed = parse_metrics(exposition(metrics), ("starting",))
    assert (set(exposed.readings), exposed.down) == ({""}, ())
    reading = exposed.readings[""]
    assert reading.counted == Counted(masks=4, skipped=1, refused=2, payload_bytes=5000, timed=4, in_time=3)
    assert (reading.streams, reading.backlog_frames, reading.backlog_age_s) == (12, 3, 1.5)
    assert reading.load == {"aa": 0.4}  # a load that was not measured is none
    assert (reading.instances, reading.capacity) == ({"aa": 2}, {"aa": 120})
    assert reading.not_ready == ("starting",)


def test_processes_at_one_address_are_read_each_for_itself() -> None:
    """As one, ages would be added up and loads would be the last one's."""
    texts, own = {}, ProcessMetrics("123")
    for process, age_s in (("1", 2.0), ("2", 3.0)):
        metrics = Metrics()
        metrics.backlog_age.set(age_s)
        metrics.load_ratio.labels("aa").set(age_s / 10)
        texts[process] = exposition(metrics)
        own.up.labels(process).set(1)
    exposed = parse_metrics(merged(generate_latest(own.registry).decode(), texts))
    assert {name: (each.backlog_age_s, each.load) for name, each in exposed.readings.items()} == {
        "1": (2.0, {"aa": 0.2}),
        "2": (3.0, {"aa": 0.3}),
    }
    assert exposed.down == ("3",)


def test_processes_that_are_all_down_are_a_dispatchers_all_the_same() -> None:
    exposed = parse_metrics(generate_latest(ProcessMetrics("12").registry).decode())
    assert exposed == ({}, ("1", "2"))


@pytest.mark.parametrize("text", ["<html>no metrics</html>", "up 1\n", ""])
def test_what_is_no_dispatchers_metrics_is_refused_by_name(text: str) -> None:
    with pytest.raises(ServiceError, match="/metrics"):
        parse_metrics(text)


def test_the_objective_counts_masks_in_time_of_all_that_were_due() -> None:
    counted = Counted(timed=99, in_time=97, skipped=1)  # a stale frame has missed it, too
    assert counted.in_time_share == pytest.approx(0.97)
    assert Counted().in_time_share is None


def test_a_count_that_fell_began_anew() -> None:
    before = Counted(masks=100, timed=100, in_time=90)
    assert Counted(masks=110, timed=110, in_time=99).since(before) == Counted(masks=10, timed=10, in_time=9)
    assert Counted(masks=4, timed=4, in_time=4).since(before) == Counted(masks=4, timed=4, in_time=4)


def reading(masks: int, *, in_time: int | None = None, load: float = 0.2, streams: int = 4) -> DispatcherReading:
    counted = Counted(
        masks=masks, timed=masks, in_time=masks if in_time is None else in_time, payload_bytes=1000 * masks
    )
    return DispatcherReading(counted, streams=streams, backlog_frames=1, load={"aa": load}, instances={"aa": 1})


def test_rates_are_what_was_counted_since_the_page_began_to_look() -> None:
    clock = Clock()
    fleet = FleetHistory(clock)
    view = fleet.take({"a": reading(5000, in_time=1000)}, {})
    assert (view.masks_per_s, view.in_time_share) == (0.0, None)  # what was before is nobody's rate
    for second in range(1, 9):
        clock.now_s += 1
        view = fleet.take({"a": reading(5000 + 20 * second, in_time=1000 + 19 * second)}, {})
    assert view.masks_per_s == pytest.approx(20)
    assert view.kbit_per_s == pytest.approx(160)
    assert view.in_time_share == pytest.approx(0.95)
    assert view.frames_due == 160


def test_the_objective_is_of_the_last_five_minutes() -> None:
    clock = Clock()
    fleet = FleetHistory(clock)
    masks = in_time = 0
    view = fleet.take({"a": reading(masks, in_time=in_time)}, {})
    for second in range(400):
        clock.now_s += 1
        masks += 10
        in_time += 0 if second < 90 else 10
        view = fleet.take({"a": reading(masks, in_time=in_time)}, {})
    assert view.in_time_share == 1.0


def test_dispatchers_add_up_and_one_that_is_away_is_named() -> None:
    fleet = FleetHistory(Clock())
    view = fleet.take({"a": reading(0, load=0.2), "b": reading(0, load=0.3)}, {"c": "refused"})
    assert view.load == pytest.approx(0.5)
    assert (view.streams, view.backlog_frames, view.dispatchers) == (8, 2, 3)
    assert view.away == {"c": "refused"}


def test_the_load_is_that_of_the_busiest_bundle() -> None:
    both = DispatcherReading(load={"aa": 0.2, "bb": 0.7}, busy={"aa": 0.9, "bb": 0.4}, instances={"aa": 8, "bb": 2})
    view = FleetHistory(Clock()).take({"a": both}, {})
    assert (view.load, view.busy, view.instances) == (0.7, 0.4, 2)


def test_the_chart_follows_the_capacity() -> None:
    clock = Clock()
    fleet = FleetHistory(clock)
    for second in range(60):
        clock.now_s += 1
        n = 2 if second < 30 else 4
        view = fleet.take({"a": DispatcherReading(streams=n, load={"aa": n / 20}, capacity={"aa": 100})}, {})
    assert {(point.streams, round(point.load, 6)) for point in view.points} == {(2, 0.1), (4, 0.2)}
    clock.now_s += 1
    view = fleet.take({"a": DispatcherReading(streams=4, load={"aa": 0.1}, capacity={"aa": 200})}, {})
    assert {(point.streams, round(point.load, 6)) for point in view.points} == {(2, 0.05), (4, 0.1)}
    assert view.line is not None
    assert view.line.capacity_streams == pytest.approx(40)


def test_the_past_is_bounded() -> None:
    clock = Clock()
    fleet = FleetHistory(clock)
    for _ in range(500):
        clock.now_s += 1
        view = fleet.take({"a": reading(0)}, {})
    assert {len(trend) for trend in view.trends.values()} == {120}
