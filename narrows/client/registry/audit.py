"""Who changed what of a stream (settings, prompts) or ordered servers, when, from what to what: ``narrows:audit``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
import structlog
from msgspec import json

from narrows.contract.errors import RecordError
from narrows.contract.records.prompts import MAX_PROMPTS_BYTES, SourcePrompt
from narrows.contract.wire import StreamSettings
from narrows.contract.wire.keys import AUDIT_KEY
from narrows.contract.wire.record import decode_record
from narrows.contract.wire.scale_order import ScaleOrder

_LOG = structlog.get_logger("registry")
E = TypeVar("E")
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


@dataclass(frozen=True, slots=True)
class ScaleEvent:
    """One order to the autoscaler (``set``, ``freeze``, ``unfreeze``), as :class:`AuditEvent`."""

    who: str
    action: str
    before: ScaleOrder | None
    after: ScaleOrder
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class PromptEvent:
    """A prompt that was set (``prompt-add``) or taken away (``prompt-remove``), as :class:`AuditEvent`."""

    who: str
    action: str
    camera: str
    prompt: SourcePrompt
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class StillEvent:
    """A still picture that was asked for (``still-ask``) or looked at (``still-view``), as :class:`AuditEvent`.

    ``asked_ms`` says which: when it was asked for.
    """

    who: str
    action: str
    camera: str
    asked_ms: int
    at_ms: int = 0


def write_audit(client: redis.Redis, event: AuditEvent) -> None:
    """Append an event; the server dates it, the last 10 000 or so are kept."""
    fields: dict[Any, Any] = {"who": event.who, "action": event.action, "stream": event.stream}
    for name, settings in (("before", event.before), ("after", event.after)):
        if settings is not None:
            fields[name] = settings.to_json()
    client.xadd(AUDIT_KEY, fields, maxlen=AUDIT_ENTRIES, approximate=True)


def write_scale_audit(client: redis.Redis, event: ScaleEvent) -> None:
    """Append an order; as :func:`write_audit`."""
    fields: dict[Any, Any] = {"who": event.who, "action": event.action, "order": event.after.to_json()}
    if event.before is not None:
        fields["before"] = event.before.to_json()
    client.xadd(AUDIT_KEY, fields, maxlen=AUDIT_ENTRIES, approximate=True)


def write_format_audit(client: redis.Redis, who: str, before: int, after: int) -> None:
    """Append a change of the packet format that cameras may send; as :func:`write_audit`."""
    fields: dict[Any, Any] = {"who": who, "action": "packet-format", "format_before": before, "format": after}
    client.xadd(AUDIT_KEY, fields, maxlen=AUDIT_ENTRIES, approximate=True)


def write_prompt_audit(client: redis.Redis, event: PromptEvent) -> None:
    """Append what was done to a prompt; as :func:`write_audit`."""
    fields: dict[Any, Any] = {"who": event.who, "action": event.action, "camera": event.camera}
    fields["prompt"] = json.encode(event.prompt)
    client.xadd(AUDIT_KEY, fields, maxlen=AUDIT_ENTRIES, approximate=True)


def write_still_audit(client: redis.Redis, event: StillEvent) -> None:
    """Append that a still picture was asked for or looked at; as :func:`write_audit`."""
    fields: dict[Any, Any] = {"who": event.who, "action": event.action, "camera": event.camera}
    fields["still"] = event.asked_ms
    client.xadd(AUDIT_KEY, fields, maxlen=AUDIT_ENTRIES, approximate=True)


def read_audit(client: redis.Redis, count: int = 100) -> list[AuditEvent]:
    """What was done to streams among the latest events, newest first; what cannot be read is left out, and logged."""
    return _events(client, count, b"stream", _event)


def read_scale_audit(client: redis.Redis, count: int = 100) -> list[ScaleEvent]:
    """The orders among the latest events; as :func:`read_audit`."""
    return _events(client, count, b"order", _scale_event)


def read_prompt_audit(client: redis.Redis, count: int = 100) -> list[PromptEvent]:
    """What was done to prompts among the latest events; as :func:`read_audit`."""
    return _events(client, count, b"prompt", _prompt_event)


def read_still_audit(client: redis.Redis, count: int = 100) -> list[StillEvent]:
    """Which still pictures were asked for and looked at among the latest events; as :func:`read_audit`."""
    return _events(client, count, b"still", _still_event)


def _events(client: redis.Redis, count: int, field: bytes, read: Callable[[bytes, dict[bytes, bytes]], E]) -> list[E]:
    """Those that have a field. Whoever may add to the audit may add junk, and hides nothing by it."""
    entries: Any = client.xrevrange(AUDIT_KEY, count=count)
    found = []
    for entry_id, fields in entries:
        if field in fields:
            try:
                found.append(read(entry_id, fields))
            except (RecordError, ValueError) as error:
                _LOG.warning("audit_entry_unreadable", entry=entry_id, cause=str(error))
    return found


def _still_event(entry_id: bytes, fields: dict[bytes, bytes]) -> StillEvent:
    return StillEvent(
        who=fields.get(b"who", b"").decode("utf-8", "replace"),
        action=fields.get(b"action", b"").decode("utf-8", "replace"),
        camera=fields.get(b"camera", b"").decode("utf-8", "replace"),
        asked_ms=int(fields[b"still"]),
        at_ms=int(entry_id.partition(b"-")[0]),
    )


def _prompt_event(entry_id: bytes, fields: dict[bytes, bytes]) -> PromptEvent:
    return PromptEvent(
        who=fields.get(b"who", b"").decode("utf-8", "replace"),
        action=fields.get(b"action", b"").decode("utf-8", "replace"),
        camera=fields.get(b"camera", b"").decode("utf-8", "replace"),
        prompt=decode_record(fields[b"prompt"], SourcePrompt, what="a prompt", most_bytes=MAX_PROMPTS_BYTES),
        at_ms=int(entry_id.partition(b"-")[0]),
    )


def _scale_event(entry_id: bytes, fields: dict[bytes, bytes]) -> ScaleEvent:
    before = fields.get(b"before")
    return ScaleEvent(
        who=fields.get(b"who", b"").decode("utf-8", "replace"),
        action=fields.get(b"action", b"").decode("utf-8", "replace"),
        before=None if before is None else ScaleOrder.parse(before),
        after=ScaleOrder.parse(fields[b"order"]),
        at_ms=int(entry_id.partition(b"-")[0]),
    )


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
