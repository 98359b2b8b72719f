"""Every decision that changes something, and every change of the reason: a log line, a count, an entry in Redis."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import structlog
from msgspec import structs

from narrows.contract.wire.keys import ScaleKeys
from narrows.contract.wire.record import Count, Record, UnixMs
from narrows.runtime.redis.store import Store
from orchestrator.scaling.metrics import ScaleMetrics
from orchestrator.scaling.signals import Decision

_log = structlog.get_logger(__name__)
ENTRIES = 1000


class JournalEntry(Record, frozen=True, tag_field="v", tag=1):
    """One decision.

    Attributes:
        at_ms: Redis' clock, Unix milliseconds; 0 before it is written.
        action: see :func:`action_of`.
        by: the leader.
        dry_run: it was only said.
    """

    what: ClassVar[str] = "a scaling decision"

    action: str
    servers: Count
    instances: Count
    reasons: tuple[str, ...]
    detail: str
    by: str
    dry_run: bool = False
    at_ms: UnixMs = 0

    @classmethod
    def parse_entry(cls, data: bytes, at_ms: int) -> Self:
        """Read an entry of the stream, dated by its id.

        Raises:
            RecordError: it is none.
        """
        return structs.replace(cls.parse(data), at_ms=at_ms)


def action_of(decision: Decision, before: Decision | None) -> str:
    """``scale_up``, ``scale_down``, ``add_instances``, ``remove_instances``, or ``keep``; servers go before instances.

    What a leader decides first is ``keep``: it begins with what it finds.
    """
    if before is None:
        return "keep"
    for now, then, more, fewer in (
        (decision.servers, before.servers, "scale_up", "scale_down"),
        (decision.instances, before.instances, "add_instances", "remove_instances"),
    ):
        if now != then:
            return more if now > then else fewer
    return "keep"


class DecisionJournal:
    """Keeps the last decision, writes the next where it differs."""

    def __init__(self, store: Store, metrics: ScaleMetrics, by: str) -> None:
        self._store, self._metrics, self._by = store, metrics, by
        self._last: Decision | None = None

    def begin(self) -> None:
        """Somebody else led before: the next decision is a first one."""
        self._last = None

    def servers_are(self, number: int) -> None:
        """There are so many now, by nobody's decision."""
        if self._last is not None:
            self._last = replace(self._last, servers=number)

    async def note(self, decision: Decision, *, dry_run: bool) -> None:
        """Write a decision, if it is new.

        Raises:
            ServiceError: Redis is away; log and count have it all the same.
        """
        before, self._last = self._last, decision
        action = action_of(decision, before)
        if before is not None and action == "keep" and decision.reasons[:1] == before.reasons[:1]:
            return
        entry = JournalEntry(
            action, decision.servers, decision.instances, decision.reasons, decision.detail, self._by, dry_run
        )
        self._metrics.decisions.labels(action, decision.reasons[0] if decision.reasons else "").inc()
        _log.info(
            "scaling_decided",
            action=action,
            servers=decision.servers,
            instances=decision.instances,
            reasons=",".join(decision.reasons),
            detail=decision.detail,
            dry_run=dry_run,
        )
        await self._store.call("XADD", ScaleKeys.DECISIONS, "MAXLEN", "~", ENTRIES, "*", "d", entry.to_json())
