"""Every frame's fate, told once to all who keep account: the counters, the journal, the health check's file."""

from __future__ import annotations

from edge_client.alive import Alive
from edge_client.journal import EdgeJournal
from edge_client.stats import Tally
from edge_client.transport.outbox import Fate, FrameRecord


def keep_account(tally: Tally, journal: EdgeJournal, alive: Alive) -> Fate:
    """What the outbox calls when a frame was sent, or given up for a reason."""

    def fate(record: FrameRecord, reason: str | None) -> None:
        if reason is None:
            tally.sent(record.size_bytes, record.kind)
            if record.latency is not None:
                tally.arrived(record.latency.value_s)
            alive.sent()
        else:
            tally.dropped(reason)
        journal.frame(record, reason)

    return fate
