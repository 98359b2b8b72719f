"""What was fixed at install and can never change while streams exist: the number of shards."""

from __future__ import annotations

import json
from dataclasses import dataclass

from narrows.errors import RecordError
from narrows.wire.keys import DEFAULT_SHARDS

MAX_INSTALL_BYTES = 1024
MAX_SHARDS = 1024


@dataclass(frozen=True, slots=True)
class Install:
    """The record under ``narrows:install``, written once by the first orchestrator."""

    shards: int = DEFAULT_SHARDS

    def to_json(self) -> bytes:
        """Serialise."""
        return json.dumps({"v": 1, "shards": self.shards}, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> Install:
        """Read a record, whatever the bytes; unknown fields are ignored.

        Raises:
            RecordError: too long, no JSON object, another version, or shards out of range.
        """
        if len(data) > MAX_INSTALL_BYTES:
            raise RecordError(f"an install record of {len(data)} bytes; at most {MAX_INSTALL_BYTES} are read")
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"an install record is no JSON: {error}") from None
        if not isinstance(raw, dict) or raw.get("v") != 1:
            raise RecordError("an install record must be a JSON object with v = 1")
        shards = raw.get("shards")
        if type(shards) is not int or not 1 <= shards <= MAX_SHARDS:
            raise RecordError(f"install field shards is {shards!r}; it is a whole number from 1 to {MAX_SHARDS}")
        return cls(shards)
