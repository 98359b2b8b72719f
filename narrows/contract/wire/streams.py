"""What the cloud knows of a stream: policy, weight, group and the bundle it is held to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from narrows.contract.errors import RecordError
from narrows.contract.wire.control import MAX_DESIGN_CHARACTERS
from narrows.contract.wire.record import Record

MAX_SETTINGS_BYTES = 4096
MAX_WEIGHT = 1000
MAX_STALE_MS = 3_600_000
MAX_GROUP_CHARACTERS = 64
BundleId = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{16}\Z")]


class Policy(StrEnum):
    """What to do when frames come faster than they can be decoded."""

    REALTIME = "realtime"
    """Freshness: stale frames skip the network and are counted."""
    COMPLETE = "complete"
    """Completeness: every frame ends in a mask, however late."""


class MaskPacking(StrEnum):
    """How a stream's masks are packed while they are kept for subscribers."""

    FAST = "fast"
    """Deflate: quick to pack and to read, three to four times as large."""
    SMALL = "small"
    """The label coder: its readers ask Redis for the tables, once."""


class StreamSettings(Record, frozen=True, forbid_unknown_fields=True):
    """Settings of one stream; an unregistered stream has the defaults.

    Attributes:
        policy: freshness or completeness.
        weight: share of decoding under overload, relative to other streams, above 0 and at most 1000.
        group: label that dashboards sum by, 1-64 printable characters.
        bundle: hexadecimal bundle id that packets must name; ``None`` takes any that is served.
        stale_ms: a realtime frame older than this skips the network; 1 to 3 600 000.
        refuse_future_clock: refuse frames captured ahead of the server's clock, instead of counting them.
        masks: how masks are packed, ``fast`` or ``small``. Left out: fast, so that dispatchers of releases that do not
            know it can read the rest.
        design: the design of a split network that its camera is held to, by name (`narrows split pin`). Left out: the
            camera plans.
    """

    what: ClassVar[str] = "stream settings"
    most_bytes: ClassVar[int] = MAX_SETTINGS_BYTES

    policy: Policy = Policy.REALTIME
    weight: Annotated[float, Meta(gt=0, le=MAX_WEIGHT)] = 1.0
    group: Annotated[str, Meta(min_length=1, max_length=MAX_GROUP_CHARACTERS)] = "default"
    bundle: BundleId | None = None
    stale_ms: Annotated[int, Meta(gt=0, le=MAX_STALE_MS)] = 500
    refuse_future_clock: bool = False
    masks: MaskPacking | UnsetType = UNSET
    design: Annotated[str, Meta(min_length=1, max_length=MAX_DESIGN_CHARACTERS)] | UnsetType = UNSET

    @property
    def pinned(self) -> str | None:
        """The design that the camera is held to."""
        return None if self.design is UNSET else self.design

    @property
    def mask_packing(self) -> MaskPacking:
        """How masks are packed."""
        return MaskPacking.FAST if self.masks is UNSET else self.masks

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a record; fields that it leaves out have their defaults.

        Raises:
            RecordError: no JSON object, an unknown field, or a value out of its range.
        """
        found = super().parse(data)
        for field, text in (("group", found.group), ("design", found.pinned)):
            if text is not None and not (text.isprintable() and text.strip()):
                raise RecordError(f"{cls.what}: {field} is {text!r}: use printable characters, not blanks alone")
        return replace(found, bundle=None if found.bundle is None else found.bundle.lower())
