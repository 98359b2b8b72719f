"""The settings of streams and the orders to the autoscaler, as they are kept in Redis, and who changed them."""

from narrows.registry.audit import AuditEvent, ScaleEvent, read_audit, read_scale_audit
from narrows.registry.canary import canaries
from narrows.registry.overview import StreamOverview, overviews
from narrows.registry.registry import StreamRegistry
from narrows.registry.scaling import ScaleDesk

__all__ = [
    "AuditEvent",
    "ScaleDesk",
    "ScaleEvent",
    "StreamOverview",
    "StreamRegistry",
    "canaries",
    "overviews",
    "read_audit",
    "read_scale_audit",
]
