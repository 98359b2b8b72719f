import pytest
import structlog
from structlog.testing import capture_logs

from orchestrator.telemetry.faults import Cause, Faults
from orchestrator.telemetry.metrics import Metrics


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    structlog.reset_defaults()
    return Clock()


def count(metrics: Metrics, cause: Cause) -> float:
    return metrics.registry.get_sample_value("narrows_faults_total", {"cause": cause.value}) or 0.0


def test_a_lasting_fault_is_one_line_and_one_count_however_often_it_is_met(clock: Clock) -> None:
    faults = Faults(metrics := Metrics(), clock, paused=lambda: False)
    with capture_logs() as lines:
        for _ in range(5):
            faults.begin(Cause.REDIS_AWAY, "refused")
            clock.now_s += 3
        faults.end(Cause.REDIS_AWAY, Cause.REDIS_FULL)
    assert [(line["cause"], line["event"]) for line in lines] == [
        ("redis_away", "fault_met"),
        ("redis_away", "fault_over"),
    ]
    assert lines[1]["lasted_s"] == 15.0
    assert count(metrics, Cause.REDIS_AWAY) == 1
    assert count(metrics, Cause.REDIS_FULL) == 0


def test_what_lasts_is_said_again_every_half_minute_and_counted_once(clock: Clock) -> None:
    faults = Faults(metrics := Metrics(), clock, paused=lambda: False)
    with capture_logs() as lines:
        for _ in range(7):
            faults.begin(Cause.TRITON_AWAY, "none has registered")
            clock.now_s += 10
    assert [(line["event"], line["detail"], line.get("lasts_s")) for line in lines] == [
        ("fault_met", "none has registered", None),
        ("fault_lasts", "none has registered", 30.0),
        ("fault_lasts", "none has registered", 60.0),
    ]
    assert count(metrics, Cause.TRITON_AWAY) == 1


def test_it_counts_again_when_it_comes_back(clock: Clock) -> None:
    faults = Faults(metrics := Metrics(), clock, paused=lambda: False)
    for _ in range(2):
        faults.begin(Cause.TRITON_AWAY, "refused")
        faults.end(Cause.TRITON_AWAY)
    assert count(metrics, Cause.TRITON_AWAY) == 2


def test_a_mended_fault_that_several_batches_meet_is_one(clock: Clock) -> None:
    faults = Faults(metrics := Metrics(), clock, paused=lambda: False)
    for pause_s in (0.0, 0.5, 0.9, 1.5):
        clock.now_s += pause_s
        faults.happened(Cause.TRITON_REGIONS_LOST, "unknown region")
    assert count(metrics, Cause.TRITON_REGIONS_LOST) == 2


def test_a_fault_that_comes_and_goes_every_second_is_said_a_few_times_and_then_every_half_minute(clock: Clock) -> None:
    faults = Faults(metrics := Metrics(), clock, paused=lambda: False)
    with capture_logs() as lines:
        for _ in range(64):
            faults.begin(Cause.TRITON_AWAY, "refused")
            clock.now_s += 0.5
            faults.end(Cause.TRITON_AWAY)
            clock.now_s += 0.5
    assert [(line["event"], line.get("returns")) for line in lines] == [
        *[("fault_met", None), ("fault_over", None)] * 4,
        ("fault_recurs", 33),
        ("fault_over", None),
        ("fault_recurs", 63),
        ("fault_over", None),
    ]
    assert count(metrics, Cause.TRITON_AWAY) == 64


def test_what_comes_back_and_stays_is_said_to_last_and_to_be_over(clock: Clock) -> None:
    faults = Faults(Metrics(), clock, paused=lambda: False)
    with capture_logs() as lines:
        for _ in range(4):
            faults.begin(Cause.REDIS_AWAY, "refused")
            faults.end(Cause.REDIS_AWAY)
        for _ in range(7):
            clock.now_s += 5
            faults.begin(Cause.REDIS_AWAY, "refused")
        faults.end(Cause.REDIS_AWAY)
        faults.end(Cause.REDIS_AWAY)
    said = [(line["event"], line.get("lasts_s"), line.get("lasted_s")) for line in lines]
    assert said == [
        *[("fault_met", None, None), ("fault_over", None, 0.0)] * 4,
        ("fault_lasts", 25.0, None),
        ("fault_over", None, 30.0),
    ]


def test_what_comes_back_after_ten_seconds_is_another_fault(clock: Clock) -> None:
    faults = Faults(Metrics(), clock, paused=lambda: False)
    with capture_logs() as lines:
        for _ in range(9):
            faults.begin(Cause.REDIS_FULL, "full")
            faults.end(Cause.REDIS_FULL)
            clock.now_s += 10
    assert [line["event"] for line in lines] == ["fault_met", "fault_over"] * 9


def test_what_is_mended_again_and_again_is_counted_each_time_and_said_twice_a_minute(clock: Clock) -> None:
    faults = Faults(metrics := Metrics(), clock, paused=lambda: False)
    with capture_logs() as lines:
        for _ in range(34):
            faults.happened(Cause.TRITON_REGIONS_LOST, "unknown region")
            clock.now_s += 2
    assert [line["event"] for line in lines] == ["fault_met"] * 4 + ["fault_recurs"] * 2
    assert count(metrics, Cause.TRITON_REGIONS_LOST) == 34
