"""Which frames a full spool keeps."""

from __future__ import annotations

from enum import StrEnum


class Keep(StrEnum):
    """What gives way when the bound is met; either way frames leave in the order in which they were taken."""

    NEWEST = "newest"
    """The oldest frames go: what is kept ends at now."""
    OLDEST = "oldest"
    """Frames that come are not taken in: what is kept begins where the link broke."""
