"""The traces that planners of splits are judged on."""

from __future__ import annotations

import hashlib

from benchmarks.split.traces import traces
from benchmarks.uplink.traces import traces as uplink_traces


def test_the_links_are_those_of_the_uplink_benchmark() -> None:
    assert [trace.link for trace in traces()[:6]] == uplink_traces(25)


def test_two_more_have_a_steady_link_and_a_cloud_that_is_suddenly_in_demand() -> None:
    for trace in traces()[6:]:
        assert set(trace.link.kbit_s) == {2000.0}
        assert set(trace.cloud_load) == {0.2, 0.97}
        assert trace.cloud_load[0] == trace.cloud_load[-1] == 0.2


def test_five_of_the_eight_change() -> None:
    assert [trace.changes for trace in traces()] == [False, False, True, True, True, False, True, True]


def test_no_trace_was_changed_since_the_planner_was_written() -> None:
    said = repr([(trace.link.kbit_s, trace.link.loss, trace.link.one_way_s, trace.cloud_load) for trace in traces()])
    assert hashlib.sha256(said.encode()).hexdigest()[:16] == "4ac017672846fa2c"
