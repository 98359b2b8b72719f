"""Settings and prompts of streams and orders to the autoscaler, as they are kept in Redis, and who changed them."""

from narrows.client.registry.audit import (
    AuditEvent,
    PromptEvent,
    ScaleEvent,
    StillEvent,
    read_audit,
    read_prompt_audit,
    read_scale_audit,
    read_still_audit,
)
from narrows.client.registry.canary import canaries
from narrows.client.registry.overview import StreamOverview, overviews
from narrows.client.registry.prompts import PromptRegistry, PromptsSeen
from narrows.client.registry.registry import StreamRegistry
from narrows.client.registry.scaling import ScaleRegistry
from narrows.client.registry.stills import StillPicture, StillRegistry, StillSeen

__all__ = [
    "AuditEvent",
    "PromptEvent",
    "PromptRegistry",
    "PromptsSeen",
    "ScaleEvent",
    "ScaleRegistry",
    "StillEvent",
    "StillPicture",
    "StillRegistry",
    "StillSeen",
    "StreamOverview",
    "StreamRegistry",
    "canaries",
    "overviews",
    "read_audit",
    "read_prompt_audit",
    "read_scale_audit",
    "read_still_audit",
]
