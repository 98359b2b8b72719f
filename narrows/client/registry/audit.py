"""Who changed what of a stream (settings, prompts) or ordered servers, when, from what to what: ``narrows:audit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from msgspec import json

from narrows.contract.records.prompts import MAX_PROMPTS_BYTES, SourcePrompt
from narrows.contract.wire import StreamSettings
from narrows.contract.wire.keys import AUDIT_KEY
from narrows.contract.wire.record import decode_record
from narrows.contract.wire.scale_order import ScaleOrder

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
    """What was done to streams among the latest events, newest first.

    Raises:
        RecordError: settings in an event cannot be read.
    """
    entries: Any = client.xrevrange(AUDIT_KEY, count=count)
    return [_event(entry_id, fields) for entry_id, fields in entries if b"stream" in fields]


def read_scale_audit(client: redis.Redis, count: int = 100) -> list[ScaleEvent]:
    """The orders among the latest events, newest first.

    Raises:
        RecordError: an order in an event cannot be read.
    """
    entries: Any = client.xrevrange(AUDIT_KEY, count=count)
    return [_scale_event(entry_id, fields) for entry_id, fields in entries if b"order" in fields]


def read_prompt_audit(client: redis.Redis, count: int = 100) -> list[PromptEvent]:
    """What was done to prompts among the latest events, newest first.

    Raises:
        RecordError: a prompt in an event cannot be read.
    """
    entries: Any = client.xrevrange(AUDIT_KEY, count=count)
    return [_prompt_event(entry_id, fields) for entry_id, fields in entries if b"prompt" in fields]


def read_still_audit(client: redis.Redis, count: int = 100) -> list[StillEvent]:
    """Which still pictures were asked for and looked at among the latest events, newest first."""
    entries: Any = client.xrevrange(AUDIT_KEY, count=count)
    return [_still_event(entry_id, fields) for entry_id, fields in entries if b"still" in fields]


def _still_event(entry_id: bytes, fields: dict[bytes, bytes]) -> StillEvent:
    asked = fields[b"still"]
    return StillEvent(
        who=fields.get(b"who", b"").decode("utf-8", "replace"),
        action=fields.get(b"action", b"").decode("utf-8", "replace"),
        camera=fields.get(b"camera", b"").decode("utf-8", "replace"),
        asked_ms=int(asked) if asked.isdigit() else 0,
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
