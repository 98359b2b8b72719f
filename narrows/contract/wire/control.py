"""Control: the one small record that flows towards a camera. It expires by Redis TTL; absent means "decide alone"."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from narrows.contract.wire.record import Ratio, Record

MAX_CONTROL_BYTES = 1024
MAX_DESIGN_CHARACTERS = 128
MOST_SERVED_CUTS = 64
"""So that a record stays below its limit; a bundle of more has no list, and every cut is taken to be served."""
_Byte = Annotated[int, Meta(ge=0, le=255)]


class Sends(StrEnum):
    """What a camera sends of a frame."""

    FEATURES = "features"
    """The latent: the cloud makes the masks."""
    MASKS = "masks"
    """Its own mask."""


class Control(Record, frozen=True, omit_defaults=True, tag_field="v", tag=1):
    """What a camera is asked to do; ``None`` leaves a choice to the camera.

    Attributes:
        level: rate level to code at; of a split network the finest that a plan may use.
        frames_per_s: frame rate not to exceed, above 0 and at most 240.
        key_request: counts up whenever a K packet is wanted; a camera sends one when it sees a new value.
        send: what an automatic camera (`narrows edge --send auto`) sends, if its device can.
        design: the design of a split network that a camera which plans is held to, by name: an operator pinned it.
        cloud_load: share of the servers' time that other cameras take; a camera that plans counts with it.
        cuts: of a split network, those whose tails are served here, where some are not.
    """

    what: ClassVar[str] = "a control record"
    most_bytes: ClassVar[int] = MAX_CONTROL_BYTES

    level: _Byte | None = None
    frames_per_s: Annotated[float, Meta(gt=0, le=240)] | None = None
    key_request: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)] = 0
    send: Sends | None = None
    design: Annotated[str, Meta(min_length=1, max_length=MAX_DESIGN_CHARACTERS)] | None = None
    cloud_load: Ratio | None = None
    cuts: Annotated[tuple[_Byte, ...], Meta(max_length=MOST_SERVED_CUTS)] | None = None
