"""Claims about what is read from dispatchers' reports, and from Triton's metrics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.records.report import DispatcherReport
from orchestrator.scaling.engines.fixed import seen_by
from orchestrator.scaling.health import AutoscalerHealth
from orchestrator.scaling.lateness import Lateness
from orchestrator.scaling.observe import decode_costs, fleet_of, offered_by_bundle, server_addresses
from orchestrator.scaling.replicas import Observed
from orchestrator.scaling.server_watch import ServerLook
from orchestrator.scaling.triton_metrics import parse_gauges

RECORDED = [
    (
        b'{"name":"a-1","at_ms":1763938700000,"streams":6,"backlog_frames":4,"backlog_age_s":0.21,"saturation":0.4,'
        b'"realtime_ended":900,"realtime_late":3,"bundles":{"00000000000000aa":{"frames_per_s":{"0":20.0,"2":10.0},'
        b'"decode_s":{"0":0.002,"2":0.004}}},"servers":{"10.0.0.7:8001":{"ready":true,"ejected":false,"draining":false,'
        b'"outstanding":3,"frames":800,"failures":0},"10.0.0.8:8001":{"ready":false,"ejected":true,"draining":false,'
        b'"outstanding":0,"frames":90,"failures":7}},"v":1}'
    ),
    (
        b'{"name":"b-2","at_ms":1763938700400,"streams":2,"backlog_frames":1,"backlog_age_s":0.05,"saturation":0.1,'
        b'"realtime_ended":100,"realtime_late":0,"bundles":{"00000000000000aa":{"frames_per_s":{"0":5.0},'
        b'"decode_s":{"0":0.004}},"00000000000000bb":{"frames_per_s":{"0":2.5},"decode_s":{}}},'
        b'"servers":{"10.0.0.7:8001":{"ready":true,"ejected":false,"draining":false,"outstanding":1,"frames":80,'
        b'"failures":0}},"v":1}'
    ),
]
REPORTS = [DispatcherReport.parse(each) for each in RECORDED]
GPU = """
# HELP nv_gpu_utilization GPU utilization rate [0.0 - 1.0)
# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-1"} 0.5
nv_gpu_utilization{gpu_uuid="GPU-2"} 0.7
# TYPE nv_gpu_memory_used_bytes gauge
nv_gpu_memory_used_bytes{gpu_uuid="GPU-1"} 2000.0
# TYPE nv_gpu_memory_total_bytes gauge
nv_gpu_memory_total_bytes{gpu_uuid="GPU-1"} 8000.0
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="decoder_aa",version="1"} 3
nv_inference_pending_request_count{model="decoder_bb",version="1"} 4
"""


def test_offers_of_all_dispatchers_and_levels_add_up_by_bundle() -> None:
    assert offered_by_bundle(REPORTS) == {"00000000000000aa": 35.0, "00000000000000bb": 2.5}
    assert decode_costs(REPORTS) == {("00000000000000aa", "0"): 0.003, ("00000000000000aa", "2"): 0.004}


def test_the_servers_that_dispatchers_use_are_looked_at_and_else_those_of_the_engine() -> None:
    engine = Observed(1, 1, servers=("10.0.0.9:8001",))
    assert server_addresses(REPORTS, engine) == ("10.0.0.7:8001",)
    assert server_addresses([], engine) == ("10.0.0.9:8001",)
    assert seen_by(REPORTS) == Observed(1, 1, slots=1, servers=("10.0.0.7:8001",))


def test_the_fleet_counts_what_was_asked_for_as_coming() -> None:
    looks = {"a": ServerLook(3), "b": ServerLook(2)}
    fleet = fleet_of(Observed(wanted=5, ready=2, starting=1, draining=1, slots=6), looks)
    assert (fleet.ready, fleet.starting, fleet.draining, fleet.instances, fleet.slots) == (2, 3, 1, 2, 6)
    assert fleet_of(Observed(wanted=1, ready=3, starting=1), {}).starting == 1


def counted(name: str, ended: int, late: int) -> DispatcherReport:
    return DispatcherReport(name, 0, realtime_ended=ended, realtime_late=late)


def test_lateness_is_the_share_of_the_growth_within_the_window() -> None:
    lateness = Lateness(window_s=10)
    assert lateness.take([counted("a", 1000, 900)], 0.0) == 0.0, "what was before we looked is no news"
    assert lateness.take([counted("a", 1100, 910)], 2.0) == pytest.approx(0.1)
    assert lateness.take([counted("a", 1200, 910), counted("b", 500, 500)], 4.0) == pytest.approx(0.05)
    assert lateness.take([counted("a", 1300, 910), counted("b", 600, 500)], 11.0) == pytest.approx(10 / 400)
    assert lateness.take([counted("a", 1300, 910), counted("b", 600, 500)], 30.0) == 0.0


def test_a_dispatcher_that_began_anew_counts_from_zero() -> None:
    lateness = Lateness()
    lateness.take([counted("a", 1000, 900)], 0.0)
    assert lateness.take([counted("a", 40, 10)], 2.0) == pytest.approx(0.25)


@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 50)), max_size=3)))
def test_lateness_is_a_share_whatever_the_counters_do(rounds: list[list[tuple[str, int, int]]]) -> None:
    lateness = Lateness()
    for i, each in enumerate(rounds):
        assert 0 <= lateness.take([counted(*report) for report in each], float(i)) <= 1


def test_gauges_of_a_server_with_gpus() -> None:
    gauges = parse_gauges(GPU)
    assert gauges.pending == 7
    assert gauges.gpu_ratio == pytest.approx(0.6)
    assert (gauges.gpu_used_bytes, gauges.gpu_total_bytes) == (2000.0, 8000.0)


def test_gauges_of_a_server_without_one() -> None:
    gauges = parse_gauges("# TYPE nv_cpu_utilization gauge\nnv_cpu_utilization 0.3\n")
    assert (gauges.pending, gauges.gpu_ratio, gauges.gpu_used_bytes) == (None, None, None)


def test_an_autoscaler_is_ready_while_its_rounds_succeed() -> None:
    now_s = 100.0
    health = AutoscalerHealth(10.0, monotonic=lambda: now_s)
    assert health.reasons_not_ready() == ["has not looked yet"]
    health.went_well()
    assert health.reasons_not_ready() == []
    now_s = 111.0
    assert health.reasons_not_ready() == ["the last look was 11 s ago"]
    health.trouble = "Redis is away"
    health.stopping = True
    assert health.reasons_not_ready() == ["stopping", "Redis is away"]
    assert health.alive()["alive"] is True
