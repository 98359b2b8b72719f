"""Log events are stable names in snake_case, each of which the docs explain."""

from __future__ import annotations

import pytest

from tools.log_events import PAGE, LogCall, NotAnEvent, calls_in, meanings_in, scan, written

HEAD = "import structlog\n_log = structlog.get_logger(__name__)\n"


def test_the_page_lists_every_event_with_its_levels_and_fields_and_says_what_it_means() -> None:
    page, calls = PAGE.read_text("utf-8"), scan()
    assert written(page, calls) == page, "run `make log-events`"
    assert {call.event for call in calls} == meanings_in(page).keys()


@pytest.mark.parametrize(
    "line",
    [
        '_log.info("a sentence")',
        '_log.info("notSnake")',
        '_log.info("trailing_")',
        '_log.info(f"lost_{number}")',
        '_log.info("lost_" + what)',
        "_log.info(what)",
        '_log.info("lost %s", what)',
        "_log.info()",
        '_log.info(event="lost")',
        "say = _log.info",
        '_log.bind(shard=3).info("lost")',
        'structlog.get_logger("edge").info("a sentence")',
    ],
)
def test_what_is_no_snake_case_literal_is_refused_by_file_and_line(line: str) -> None:
    with pytest.raises(NotAnEvent, match=r"^orchestrator/x/y\.py:3: "):
        calls_in(HEAD + line, "orchestrator/x/y.py")


def test_calls_are_read_with_their_level_package_and_fields() -> None:
    source = (
        HEAD + '_log.exception("lease_lost", shard=3, exc_info=error, **more)\nstructlog.get_logger("x").debug("x2")\n'
    )
    assert calls_in(source, "orchestrator/dispatch/lease.py") == [
        LogCall("lease_lost", "error", "orchestrator.dispatch", ("shard", "…")),
        LogCall("x2", "debug", "orchestrator.dispatch", ()),
    ]
    assert calls_in(source, "edge_client/encode/sealing.py")[1].package == "edge_client"


def test_what_is_no_logger_may_say_what_it_likes() -> None:
    assert calls_in('client.info("server side")\nself.error("a sentence")\n', "narrows/ops/x.py") == []


def test_a_new_table_keeps_what_events_mean_and_forgets_those_that_went() -> None:
    calls = [LogCall("kept", "info", "edge_client", ()), LogCall("fresh", "error", "narrows.cli", ("a", "b"))]
    page = written(
        "before<!-- events: written by `make log-events`; edit only what an event means -->\n<!-- /events -->", calls
    )
    page = page.replace("| `kept` | info | `edge_client` |  |  |", "| `kept` | info | `edge_client` |  | it *stays* |")
    again = written(page, [*calls[1:], calls[0]])
    assert again == page
    assert meanings_in(again) == {"kept": "it *stays*"}
    assert "| `fresh` | error | `narrows.cli` | `a`, `b` |  |" in again
    assert "kept" not in written(page, calls[1:])
