"""A server goes when every living dispatcher has let it go, and not before."""

from narrows.contract.records.report import FRESH_MS, DispatcherReport, ServerReport
from orchestrator.servers.drained import HEARD_MS, who_holds

SERVER, SINCE_MS = "127.0.0.1:8001", 1_000_000
HEARD = SINCE_MS + HEARD_MS


def report(name: str, at_ms: int, **server: bool | int) -> DispatcherReport:
    servers = {SERVER: ServerReport(**{"ready": False, **server})} if server else {}  # type: ignore[arg-type]
    return DispatcherReport(name, at_ms, servers=servers)


def test_without_dispatchers_nobody_holds_it() -> None:
    assert who_holds([], SERVER, SINCE_MS, HEARD) == []


def test_who_has_work_there_holds_it() -> None:
    holds = report("a", HEARD, draining=True, outstanding=1)
    done = report("b", HEARD, draining=True, outstanding=0)
    assert who_holds([holds, done], SERVER, SINCE_MS, HEARD) == ["a"]


def test_who_has_not_heard_yet_holds_it_even_without_work() -> None:
    assert who_holds([report("a", HEARD, ready=True)], SERVER, SINCE_MS, HEARD) == ["a"]
    assert who_holds([report("a", HEARD - 1, draining=True)], SERVER, SINCE_MS, HEARD) == ["a"]


def test_who_does_not_know_it_does_not_hold_it_once_it_looked_again() -> None:
    assert who_holds([report("a", HEARD - 1)], SERVER, SINCE_MS, HEARD) == ["a"]
    assert who_holds([report("a", HEARD)], SERVER, SINCE_MS, HEARD) == []


def test_a_silent_dispatcher_is_dead() -> None:
    last = report("a", HEARD, draining=True, outstanding=3)
    assert who_holds([last], SERVER, SINCE_MS, HEARD + FRESH_MS) == ["a"]
    assert who_holds([last], SERVER, SINCE_MS, HEARD + FRESH_MS + 1) == []


def test_so_is_one_that_spoke_last_before_the_clock_was_set_back() -> None:
    last = report("a", HEARD + 3_600_000, draining=True, outstanding=3)
    assert who_holds([last], SERVER, SINCE_MS, HEARD) == []
