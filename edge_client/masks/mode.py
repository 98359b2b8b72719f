"""What the operator says of masks: ``narrows edge --send``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SendMode(StrEnum):
    """What is sent of a frame."""

    FEATURES = "features"
    MASKS = "masks"
    AUTO = "auto"
    """By the rule of :mod:`edge_client.masks.rule`."""
    OBJECTS = "objects"
    """What is outlined of what is pointed at, in the place of the street network."""


@dataclass(frozen=True, slots=True)
class MaskSettings:
    """How this camera makes masks.

    Attributes:
        send: features, masks, what the rule says, or objects alone.
        scale: the sides of its masks are those of the bundle's output divided by this: 1, 2, 4 or 8.
        audit_share: one mask in so many travels with its features, so that the cloud can compare; 0: none.
        local: ``DIR`` or ``unix:PATH``, where the newest mask is for others on site; ``None``: nowhere.
    """

    send: SendMode = SendMode.FEATURES
    scale: int = 1
    audit_share: int = 0
    local: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether a camera decoder is needed."""
        return self.send in {SendMode.MASKS, SendMode.AUTO} or self.local is not None
