"""A dispatcher names the few streams that offer most, lose most and have clocks ahead, however many there are."""

from __future__ import annotations

import pytest

from narrows.contract.records.report import MOST_TOP_STREAMS, DispatcherReport, StreamRates
from narrows.contract.wire.keys import StreamKeys
from narrows.contract.wire.streams import StreamSettings
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Stream
from orchestrator.dispatch.top_streams import WINDOW_S, TopStreams

LEASE = Lease(0, "1", 0.0)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def stream(name: str) -> Stream:
    return Stream(StreamKeys(name, 0), LEASE, ReferenceCache(1), StreamSettings())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_rates_are_those_of_the_last_window(clock: Clock) -> None:
    top, flood, quiet = TopStreams(clock), stream("flood"), stream("quiet")
    flood.taken_in, quiet.taken_in = 1_000_000, 10
    clock.now_s += WINDOW_S
    top.look([flood, quiet])
    flood.taken_in += 300
    flood.forged += 100
    flood.trimmed += 100
    flood.count_end(skipped=True)
    flood.count_end(skipped=False)
    quiet.taken_in += 5
    quiet.clocks_ahead += 5
    clock.now_s += WINDOW_S
    top.look([flood, quiet])
    assert top.rates == (StreamRates("flood", 100.0, 20.2, 0.0), StreamRates("quiet", 1.0, 0.0, 1.0))


def test_nothing_is_compared_before_a_window_is_over(clock: Clock) -> None:
    top, one = TopStreams(clock), stream("one")
    for _ in range(4):
        clock.now_s += WINDOW_S / 5
        one.taken_in += 1
        top.look([one])
    assert not top.rates
    clock.now_s += WINDOW_S / 5
    top.look([one])
    assert top.rates == (StreamRates("one", 0.8),)


def test_the_first_by_each_rate_are_named_and_no_more(clock: Clock) -> None:
    top = TopStreams(clock)
    streams = [stream(f"cam-{number:05}") for number in range(10_000)]
    for number, each in enumerate(streams):
        each.taken_in, each.skipped, each.clocks_ahead = number, 10_000 - number, int(number == 5000)
    clock.now_s += WINDOW_S
    top.look(streams)
    names = [each.stream for each in top.rates]
    assert names == sorted(names)
    assert set(names) == {
        *(each.id for each in streams[:MOST_TOP_STREAMS]),
        *(each.id for each in streams[-MOST_TOP_STREAMS:]),
        streams[5000].id,
    }


def test_a_stream_that_went_and_came_again_has_no_negative_rate(clock: Clock) -> None:
    top, one = TopStreams(clock), stream("one")
    one.taken_in = 50
    for taken_in in (50, 0, 5):
        one.taken_in = taken_in
        clock.now_s += WINDOW_S
        top.look([one])
    assert top.rates == (StreamRates("one", 1.0),)


def test_it_travels_in_the_report_and_an_older_report_has_none() -> None:
    report = DispatcherReport("one", 7, top_streams=(StreamRates("flood", 100.0, 20.2, 0.5),))
    assert DispatcherReport.parse(report.to_json()) == report
    assert DispatcherReport.parse(b'{"v":1,"name":"one","at_ms":7}').top_streams == ()
