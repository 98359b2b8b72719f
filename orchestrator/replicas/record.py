"""What a server that registers itself writes to Redis: one JSON record in the hash ``ScaleKeys.SERVERS``."""

from __future__ import annotations

import json
from dataclasses import dataclass

from narrows.errors import RecordError, ServiceError
from orchestrator.replicas.address import Address

MAX_RECORD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """One registered server.

    Attributes:
        address: of its gRPC service, at which dispatchers reach it.
        slot: which it occupies.
        metrics: address of its ``/metrics``; empty: not said.
    """

    address: str
    slot: str = ""
    metrics: str = ""

    def to_json(self) -> bytes:
        """Serialise."""
        fields = {"v": 1, "address": self.address, "slot": self.slot, "metrics": self.metrics}
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> ServerRecord:
        """Read a record; unknown fields are ignored.

        Raises:
            RecordError: too long, no JSON object, another version, or no ``host:port``.
        """
        if len(data) > MAX_RECORD_BYTES:
            raise RecordError(f"a server's record of {len(data)} bytes; at most {MAX_RECORD_BYTES} are read")
        try:
            raw = json.loads(data)
            if raw["v"] != 1:
                raise RecordError(f"a server's record of version {raw['v']!r}; this build reads 1")
            if not isinstance(raw["address"], str):
                raise RecordError(f"a server's address that is no text: {str(raw['address'])[:80]}")
            metrics = str(raw.get("metrics", ""))
            return cls(
                address=str(Address.parse(raw["address"])),
                slot=str(raw.get("slot", "")),
                metrics=str(Address.parse(metrics)) if metrics else "",
            )
        except ServiceError as error:
            raise RecordError(f"a server's record: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(f"a server's record cannot be read: {error!r}") from None
