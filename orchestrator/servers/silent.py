"""Which other supervisors are gone for good. Pure.

A supervisor that was killed with its host leaves the records of its servers behind. Who lives removes them, but only
after it has seen the silence for a while itself: when Redis was away, everybody was silent.
"""

from __future__ import annotations

from collections.abc import Mapping

from narrows.contract.records.report import is_fresh
from orchestrator.servers.host_record import HostState

GONE_S = 15.0


class Silent:
    """Remembers since when each is silent."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    def look(self, hosts: Mapping[str, HostState], now_ms: int, now_s: float) -> list[str]:
        """Those that are silent for :data:`GONE_S` of our looks.

        Args:
            hosts: what each supervisor said last, by name.
            now_ms: Redis' clock.
            now_s: our monotonic clock.
        """
        silent = sorted(name for name, state in hosts.items() if not is_fresh(state.at_ms, now_ms))
        self._since_s = {name: self._since_s.get(name, now_s) for name in silent}
        return [name for name in silent if now_s - self._since_s[name] >= GONE_S]

    def begin_anew(self) -> None:
        """We could not hear anybody."""
        self._since_s.clear()
