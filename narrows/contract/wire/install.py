"""What all programs of an install agree on: the number of shards, for good, and the packet format that cameras send."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType

from narrows.contract.wire.keys import DEFAULT_SHARDS
from narrows.contract.wire.record import Record

MAX_INSTALL_BYTES = 1024
MAX_SHARDS = 1024


class Install(Record, frozen=True, tag_field="v", tag=1):
    """The record under ``narrows:install``, written by the first orchestrator.

    Attributes:
        shards: never changes while streams exist.
        packet_format: the newest that every dispatcher reads; cameras send no newer one. Left out: 1.
    """

    what: ClassVar[str] = "an install record"
    most_bytes: ClassVar[int] = MAX_INSTALL_BYTES

    shards: Annotated[int, Meta(ge=1, le=MAX_SHARDS)] = DEFAULT_SHARDS
    packet_format: Annotated[int, Meta(ge=1, le=255)] | UnsetType = UNSET

    @property
    def newest_packet_format(self) -> int:
        """The newest that every dispatcher reads."""
        return 1 if self.packet_format is UNSET else self.packet_format
