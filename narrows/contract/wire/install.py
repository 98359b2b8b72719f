"""What was fixed at install and can never change while streams exist: the number of shards."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from narrows.contract.wire.keys import DEFAULT_SHARDS
from narrows.contract.wire.record import Record

MAX_INSTALL_BYTES = 1024
MAX_SHARDS = 1024


class Install(Record, frozen=True, tag_field="v", tag=1):
    """The record under ``narrows:install``, written once by the first orchestrator."""

    what: ClassVar[str] = "an install record"
    most_bytes: ClassVar[int] = MAX_INSTALL_BYTES

    shards: Annotated[int, Meta(ge=1, le=MAX_SHARDS)] = DEFAULT_SHARDS
