"""What every frame moves is exposed as any counter is."""

from prometheus_client import CollectorRegistry, generate_latest

from orchestrator.telemetry.loop_counter import LoopCounter


def test_a_counter_of_the_loop_is_exposed_as_any_counter_is_and_begins_at_0() -> None:
    registry = CollectorRegistry()
    plain = LoopCounter("frames", "Frames", registry=registry)
    by_kind = LoopCounter("ends", "Ends", ["kind"], registry=registry)
    by_kind.labels("skipped")
    plain.inc()
    plain.inc(2.5)
    by_kind.labels("mask").inc(3)
    assert registry.get_sample_value("frames_total") == 3.5
    assert registry.get_sample_value("ends_total", {"kind": "mask"}) == 3
    assert registry.get_sample_value("ends_total", {"kind": "skipped"}) == 0
    lines = generate_latest(registry).decode().splitlines()
    assert "# TYPE frames_total counter" in lines
    assert 'ends_total{kind="mask"} 3.0' in lines
