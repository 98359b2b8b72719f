"""Who changed a stream's settings, when, from what and to what: entries of the stream ``narrows:audit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from narrows.wire import StreamSettings
from narrows.wire.keys import AUDIT_KEY

AUDIT_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change. ``at_ms`` is the Redis server's clock; ``before`` or ``after`` is absent where there was nothing."""

    who: str
    action: str
    stream: str
    before: StreamSettings | None
    after: StreamSettings | None
    at_ms: int = 0


def write_audit(client: redis.Redis, event: AuditEvent) -> None:
    """Append an event; the server dates it, the last 10 000 or so are kept."""
    fields: dict[Any, Any] = {"who": event.who, "action": event.action, "stream": event.stream}
    for name, settings in (("before", event.before), ("after", event.after)):
        if settings is not None:
            fields[name] = settings.to_json()
    client.xadd(AUDIT_KEY, fields, maxlen=AUDIT_ENTRIES, approximate=True)


def read_audit(client: redis.Redis, count: int = 100) -> list[AuditEvent]:
    """The latest events, newest first.

    Raises:
        RecordError: settings in an event cannot be read.
    """
    entries: Any = client.xrevrange(AUDIT_KEY, count=count)
    return [_event(entry_id, fields) for entry_id, fields in entries]


def _event(entry_id: bytes, fields: dict[bytes, bytes]) -> AuditEvent:
    before, after = fields.get(b"before"), fields.get(b"after")
    return AuditEvent(
        who=fields.get(b"who", b"").decode("utf-8", "replace"),
        action=fields.get(b"action", b"").decode("utf-8", "replace"),
        stream=fields.get(b"stream", b"").decode("utf-8", "replace"),
        before=None if before is None else StreamSettings.parse(before),
        after=None if after is None else StreamSettings.parse(after),
        at_ms=int(entry_id.partition(b"-")[0]),
    )
