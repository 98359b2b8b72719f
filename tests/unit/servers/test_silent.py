"""Who is gone for good: silent for long enough in our own sight."""

from narrows.contract.records.report import FRESH_MS
from orchestrator.servers.host_record import HostState
from orchestrator.servers.silent import GONE_S, Silent

NOW_MS = 1_000_000


def said(at_ms: int) -> dict[str, HostState]:
    return {"other": HostState(at_ms, "owner", 1, 1)}


def test_who_is_silent_long_enough_is_gone() -> None:
    silent, old = Silent(), said(NOW_MS - FRESH_MS - 1)
    assert silent.look(old, NOW_MS, 0.0) == []
    assert silent.look(old, NOW_MS, GONE_S - 0.1) == []
    assert silent.look(old, NOW_MS, GONE_S) == ["other"]


def test_a_word_in_between_begins_anew() -> None:
    silent, old = Silent(), said(NOW_MS - FRESH_MS - 1)
    silent.look(old, NOW_MS, 0.0)
    assert silent.look(said(NOW_MS), NOW_MS, GONE_S - 0.1) == []
    assert silent.look(old, NOW_MS, GONE_S) == []


def test_so_does_a_time_without_redis() -> None:
    silent, old = Silent(), said(NOW_MS - FRESH_MS - 1)
    silent.look(old, NOW_MS, 0.0)
    silent.begin_anew()
    assert silent.look(old, NOW_MS, 60.0) == []
    assert silent.look(old, NOW_MS, 60.0 + GONE_S) == ["other"]


def test_who_spoke_last_before_the_clock_was_set_back_is_gone_in_the_usual_time() -> None:
    silent, ahead = Silent(), said(NOW_MS + 3_600_000)
    assert silent.look(ahead, NOW_MS, 0.0) == []
    assert silent.look(ahead, NOW_MS, GONE_S) == ["other"]
