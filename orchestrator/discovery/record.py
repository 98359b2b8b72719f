"""What a server that registers itself writes to Redis: one JSON record in the hash ``ScaleKeys.SERVERS``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from msgspec import Meta
from msgspec.structs import replace

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire.record import Record, Seconds
from orchestrator.discovery.address import Address

MAX_RECORD_BYTES = 4096
_Cores = Annotated[float, Meta(ge=0.01, le=1e6)]
"""A supervisor gives a twentieth of a core at least; what is next to nothing would make a rate of no number."""


class ServerRecord(Record, frozen=True, tag_field="v", tag=1):
    """One registered server.

    Attributes:
        address: of its gRPC service, at which dispatchers reach it.
        slot: which it occupies.
        metrics: address of its ``/metrics``; empty: not said.
        cores: processor seconds that it may use each second; ``None``: no limit is known.
        cpu_s: processor seconds that it used since it started; ``None``: not said.
    """

    what: ClassVar[str] = "a server's record"
    most_bytes: ClassVar[int] = MAX_RECORD_BYTES

    address: str
    slot: str = ""
    metrics: str = ""
    cores: _Cores | None = None
    cpu_s: Seconds | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a record; unknown fields are ignored.

        Raises:
            RecordError: too long, no JSON object, another version, or no ``host:port``.
        """
        found = super().parse(data)
        try:
            metrics = str(Address.parse(found.metrics)) if found.metrics else ""
            return replace(found, address=str(Address.parse(found.address)), metrics=metrics)
        except ServiceError as error:
            raise RecordError(f"{cls.what}: {error}") from None
