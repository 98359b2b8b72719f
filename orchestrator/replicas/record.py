"""What a server that registers itself writes to Redis: one JSON record in the hash ``ScaleKeys.SERVERS``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

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
        cores: processor seconds that it may use each second; ``None``: no limit is known.
        cpu_s: processor seconds that it used since it started; ``None``: not said.
    """

    address: str
    slot: str = ""
    metrics: str = ""
    cores: float | None = None
    cpu_s: float | None = None

    def to_json(self) -> bytes:
        """Serialise."""
        return json.dumps({"v": 1} | asdict(self), separators=(",", ":")).encode()

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
                cores=_positive(raw.get("cores")),
                cpu_s=_positive(raw.get("cpu_s")),
            )
        except ServiceError as error:
            raise RecordError(f"a server's record: {error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(f"a server's record cannot be read: {error!r}") from None


def _positive(value: object) -> float | None:
    if value is None:
        return None
    number = float(value)  # type: ignore[arg-type]
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{number} processor seconds")
    return number
