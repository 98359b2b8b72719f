"""When an entry came, by its id and by what is known of the clock that gave it."""

from __future__ import annotations

from typing import cast

import pytest

from narrows.contract.wire import StreamKeys, StreamSettings
from narrows.runtime.redis.server_clock import ServerClock
from narrows.runtime.redis.store import RawEntry, Store
from orchestrator.dispatch.arrivals import Arrivals
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.stream import Stream

NOW_S, SERVER_MS = 1_000.0, 1_700_000_000_000.0


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    """By a server that says so much at a time of this process's clock."""
    clock = ServerClock(lambda: NOW_S)
    clock.answered(NOW_S, SERVER_MS, NOW_S)
    monkeypatch.setattr("orchestrator.dispatch.arrivals.time.monotonic", lambda: NOW_S)
    return Arrivals(cast("Store", None), clock)


@pytest.fixture
def stream() -> Stream:
    return Stream(StreamKeys("cam", 0), Lease(0, "1", 0.0), ReferenceCache(1), StreamSettings())


def _entry(age_s: float) -> RawEntry:
    return RawEntry(b"%d-0" % (SERVER_MS - 1000 * age_s), [])


def test_an_entry_came_when_its_id_says(arrivals: Arrivals, stream: Stream) -> None:
    taken = arrivals.taken(stream, _entry(3.0), 1)
    assert (taken.arrived_ms, taken.arrived_s, taken.forged) == (SERVER_MS - 3000, NOW_S - 3, None)


def test_one_a_little_ahead_of_the_clock_came_now(arrivals: Arrivals, stream: Stream) -> None:
    taken = arrivals.taken(stream, _entry(-1.0), 1)
    assert (taken.arrived_ms, taken.arrived_s, taken.forged) == (SERVER_MS, NOW_S, None)


def test_an_id_from_before_its_stream_was_read_to_its_end_is_forged_unless_it_was_delivered_before(
    arrivals: Arrivals, stream: Stream
) -> None:
    assert arrivals.taken(stream, _entry(30.0), 1).forged is None
    arrivals.read_to_end(stream, NOW_S - 10)
    assert "before the stream was read" in (arrivals.taken(stream, _entry(30.0), 1).forged or "")
    assert arrivals.taken(stream, _entry(30.0), 2).forged is None
    assert arrivals.taken(stream, _entry(9.0), 1).forged is None


def test_what_is_forged_came_when_it_was_read(arrivals: Arrivals, stream: Stream) -> None:
    taken = arrivals.taken(stream, _entry(-3600.0), 1)
    assert taken.forged is not None
    assert (taken.arrived_ms, taken.arrived_s) == (SERVER_MS, NOW_S)
