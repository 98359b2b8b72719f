"""Claims about searching, sorting and paging the list of streams, and about the verdict over it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.wire import StreamSettings
from orchestrator.page.fleet import FleetHistory, FleetView
from orchestrator.page.reading import Counted, DispatcherReading
from orchestrator.page.redis_view import Pulse
from orchestrator.page.routes import parse_query
from orchestrator.page.rows import LARGEST_PAGE, Order, Query, Row, count_states, page_of
from orchestrator.page.states import StreamState
from orchestrator.page.verdict import HealthLevel, judge


def row(
    stream: str,
    state: StreamState = StreamState.LIVE,
    *,
    group: str = "default",
    rate: float = 5.0,
    waiting: int = 0,
    offered: float = 5.0,
    skipped: float = 0.0,
) -> Row:
    silent_s = {StreamState.NEW: None, StreamState.DEAD: 30.0}.get(state, 0.1)
    pulse = Pulse(waiting, 0, 0, 0, 0, 0, 0, 0)
    return Row(stream, state, silent_s, None, offered, rate, skipped, StreamSettings(group=group), True, pulse, None)


FLEET = [row(f"cam-{n}", group=f"site-{n % 7}") for n in range(2000)]


def names(query: Query, rows: list[Row] | None = None) -> list[str]:
    return [each.stream for each in page_of(FLEET if rows is None else rows, query).rows]


def test_two_thousand_streams_are_cut_into_pages() -> None:
    page = page_of(FLEET, Query(page=3, size=12))
    assert (page.matching, page.pages, page.page) == (2000, 167, 3)
    assert [each.stream for each in page.rows] == [f"cam-{n}" for n in range(24, 36)]


@settings(deadline=None)
@given(size=st.integers(1, LARGEST_PAGE), total=st.integers(0, 120))
def test_every_stream_is_on_exactly_one_page(size: int, total: int) -> None:
    rows = FLEET[:total]
    pages = page_of(rows, Query(size=size)).pages
    seen = [name for number in range(1, pages + 1) for name in names(Query(size=size, page=number), rows)]
    assert sorted(seen) == sorted(each.stream for each in rows)


@settings(deadline=None)
@given(page=st.integers(), size=st.integers())
def test_any_page_and_size_is_answered_with_rows_that_there_are(page: int, size: int) -> None:
    found = page_of(FLEET, Query(page=page, size=size))
    assert 1 <= found.page <= found.pages
    assert 1 <= len(found.rows) <= LARGEST_PAGE


def test_search_takes_every_word_from_name_or_group() -> None:
    assert names(Query(words="cam-1999")) == ["cam-1999"]
    assert page_of(FLEET, Query(words="SITE-3")).matching == 286
    assert names(Query(words="site-3 cam-199"))[0] == "cam-199"
    assert names(Query(words="nobody")) == []


def test_numbers_in_names_sort_as_numbers() -> None:
    rows = [row("cam-10"), row("cam-9"), row("gate"), row("cam-9b")]
    assert names(Query(order=Order.NAME), rows) == ["cam-9", "cam-9b", "cam-10", "gate"]


def test_trouble_comes_first() -> None:
    rows = [row("a"), row("b", StreamState.NEW), row("c", StreamState.DEAD), row("d", StreamState.STALLED)]
    assert names(Query(), rows) == ["d", "c", "a", "b"]
    assert names(Query(state=StreamState.DEAD), rows) == ["c"]
    assert count_states(rows) == {
        StreamState.STALLED: 1,
        StreamState.NO_MASKS: 0,
        StreamState.DEAD: 1,
        StreamState.LIVE: 1,
        StreamState.NEW: 1,
    }


def test_order_by_rate_and_by_waiting() -> None:
    rows = [row("a", rate=1, waiting=3), row("b", rate=9), row("c", rate=4, waiting=8)]
    assert names(Query(order=Order.RATE), rows) == ["b", "c", "a"]
    assert names(Query(order=Order.WAITING), rows) == ["c", "a", "b"]


def test_who_floods_and_who_loses_comes_first_if_asked_for() -> None:
    rows = [row("a", offered=5), row("b", offered=500, skipped=3), row("c", offered=50, skipped=40)]
    assert names(Query(order=Order.OFFERED), rows) == ["b", "c", "a"]
    assert names(Query(order=Order.SKIPPED), rows) == ["c", "b", "a"]


def test_a_query_is_read_from_an_address_and_nonsense_is_refused() -> None:
    query = parse_query({"q": "gate", "state": "dead", "order": "rate", "page": "4", "size": "24"})
    assert query == Query("gate", StreamState.DEAD, Order.RATE, 4, 24)
    assert parse_query({}) == Query()
    for wrong in ({"state": "asleep"}, {"order": "random"}, {"page": "two"}):
        with pytest.raises(web.HTTPBadRequest):
            parse_query(wrong)


def fleet(**changes: object) -> FleetView:
    view = FleetHistory().take({"a": DispatcherReading(Counted(), load={"aa": 0.2}, instances={"aa": 1})}, {})
    return replace(view, **changes)  # type: ignore[arg-type]


def test_a_fleet_without_faults_is_well() -> None:
    verdict = judge(fleet(), FLEET, "")
    assert (verdict.level, verdict.text, verdict.findings) == (HealthLevel.WELL, "The fleet is well", ())


@pytest.mark.parametrize(
    ("view", "rows", "trouble", "level", "words"),
    [
        (fleet(load=0.9), FLEET, "", HealthLevel.WATCH, "90 %"),
        (fleet(load=1.2), FLEET, "", HealthLevel.ILL, "above the capacity"),
        (fleet(in_time_share=0.98, frames_due=500), FLEET, "", HealthLevel.WATCH, "500 ms"),
        (fleet(backlog_age_s=5.0, backlog_frames=2), FLEET, "", HealthLevel.WATCH, "wait longer"),
        (
            fleet(dispatchers=1, away={"http://a": "refused"}),
            FLEET,
            "",
            HealthLevel.ILL,
            "http://a does not answer: refused",
        ),
        (fleet(dispatchers=2, away={"http://a": "refused"}), FLEET, "", HealthLevel.WATCH, "http://a"),
        (fleet(not_ready=("decoder away",)), FLEET, "", HealthLevel.ILL, "decoder away"),
        (fleet(), FLEET, "Redis does not answer", HealthLevel.ILL, "Redis does not answer"),
        (fleet(), [row("gate-3", StreamState.DEAD)], "", HealthLevel.WATCH, "gate-3: no frame comes"),
        (fleet(), [row("gate-3", StreamState.STALLED)], "", HealthLevel.ILL, "gate-3: frames come and none ends"),
    ],
)
def test_what_is_wrong_is_said(view: FleetView, rows: list[Row], trouble: str, level: HealthLevel, words: str) -> None:
    verdict = judge(view, rows, trouble)
    assert verdict.level is level
    assert words in verdict.findings[0].text


def test_the_worst_comes_first_and_old_deaths_are_no_news() -> None:
    long_dead = replace(row("old", StreamState.DEAD), silent_s=90_000.0)
    assert judge(fleet(), [long_dead], "").level is HealthLevel.WELL
    verdict = judge(fleet(load=1.2, backlog_age_s=9.0), [row("a", StreamState.DEAD)], "")
    assert [finding.level for finding in verdict.findings] == [HealthLevel.ILL, HealthLevel.WATCH, HealthLevel.WATCH]
