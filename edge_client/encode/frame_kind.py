"""What a frame's packet carries."""

from __future__ import annotations

from enum import StrEnum


class FrameKind(StrEnum):
    """In counters, the journal and the spool. New ones are added at the end: the spool stores their place."""

    FEATURES = "features"
    MASKS = "masks"
    AUDIT = "audit"
    """The camera's own mask and the features that it was made of."""
    OBJECTS = "objects"
    """What it outlined of what is pointed at, and nothing else."""
