"""When a server may be stopped: every dispatcher has heard that it drains, and has nothing there any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from narrows.contract.records.report import DispatcherReport, is_fresh

HEARD_MS = 1_000
"""A dispatcher looks several times a second at who drains; what it reports sooner may rest on an older look."""


def who_holds(reports: Iterable[DispatcherReport], address: str, since_ms: int, now_ms: int) -> list[str]:
    """The living dispatchers for which a server must go on, by name; none: it may be stopped.

    Args:
        reports: the last of each dispatcher; one that is silent for 5 s is dead, and its frames go to another.
        address: the server's, as reports have it.
        since_ms: when it was said that the server drains, Redis' clock.
        now_ms: the same clock now.
    """
    living = (report for report in reports if is_fresh(report.at_ms, now_ms))
    return sorted(report.name for report in living if not _has_let_go(report, address, since_ms))


def _has_let_go(report: DispatcherReport, address: str, since_ms: int) -> bool:
    if report.at_ms < since_ms + HEARD_MS:
        return False
    server = report.servers.get(address)
    return server is None or (server.draining and server.outstanding == 0)
