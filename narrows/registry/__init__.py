"""The settings of streams, as they are kept in Redis, and the audit of who changed them."""

from narrows.registry.audit import AuditEvent, read_audit
from narrows.registry.overview import StreamOverview, overviews
from narrows.registry.registry import StreamRegistry

__all__ = ["AuditEvent", "StreamOverview", "StreamRegistry", "overviews", "read_audit"]
