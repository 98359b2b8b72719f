"""What an operator is shown: the leader's status, its last decisions and the standing order, read from Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from narrows.contract.errors import RecordError
from narrows.contract.wire.keys import ScaleKeys
from narrows.contract.wire.scale_order import ScaleOrder
from orchestrator.scaling.journal import JournalEntry
from orchestrator.scaling.status import Status


@dataclass(frozen=True, slots=True)
class ScaleOverview:
    """How scaling stands.

    Attributes:
        now_ms: Redis' clock, Unix milliseconds.
        status: ``None``: no autoscaler leads.
        order: of the operator.
        decisions: newest first.
    """

    now_ms: int
    status: Status | None
    order: ScaleOrder
    decisions: tuple[JournalEntry, ...]


def read_standing(client: redis.Redis, *, decisions: int) -> ScaleOverview:
    """Read it, with so many of the last decisions.

    Raises:
        RecordError: the status or the order cannot be read; a decision that cannot be is left out.
    """
    seconds, micros = client.time()
    status: Any = client.get(ScaleKeys.STATUS)
    order: Any = client.get(ScaleKeys.COMMAND)
    entries: Any = client.xrevrange(ScaleKeys.DECISIONS, count=decisions) if decisions else []
    return ScaleOverview(
        now_ms=seconds * 1000 + micros // 1000,
        status=None if status is None else Status.parse(status),
        order=ScaleOrder() if order is None else ScaleOrder.parse(order),
        decisions=tuple(found for entry in entries if (found := _decision(*entry)) is not None),
    )


def _decision(entry_id: bytes, fields: dict[bytes, bytes]) -> JournalEntry | None:
    try:
        return JournalEntry.parse_entry(fields.get(b"d", b""), int(entry_id.partition(b"-")[0]))
    except RecordError:
        return None
