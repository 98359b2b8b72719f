"""The designs of one network that a planner chooses from, as they were measured beforehand."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Self

from msgspec import Meta, Struct

from narrows.contract.errors import RecordError
from narrows.contract.wire.control import MAX_DESIGN_CHARACTERS
from narrows.contract.wire.record import Count, Ratio, Record, Seconds

MOST_DESIGNS = 512
DesignName = Annotated[str, Meta(min_length=1, max_length=MAX_DESIGN_CHARACTERS)]
_Joules = Annotated[float, Meta(ge=0, le=1e9)]


class Kind(StrEnum):
    """Where a network runs."""

    DEVICE_ONLY = "device only"
    SERVER_ONLY = "server only"
    SPLIT = "split"


class Design(Struct, frozen=True):
    """One way to share a network out between device and server.

    Attributes:
        name: what operators pin, and read in explanations.
        kind: where the network runs.
        device_macs: multiply-accumulates on the device: what its time is guessed by until it is measured.
        device_s: seconds a picture on the device that was profiled, coding included; ``None`` where none was.
        link_bytes: that cross for a picture, headers included.
        server_s: seconds of a server that has nothing else to do.
        accuracy: 0 to 1, by the measure of the table.
        memory_bytes: activations and weights on the device.
        device_energy_j: joules of a picture on the device that was profiled.
        cut: number of the cut in the bundle; ``None`` where nothing is cut.
        precision_bits, coding: how what crosses is rounded and coded.
    """

    name: DesignName
    kind: Kind
    device_macs: Count
    device_s: Seconds | None
    link_bytes: Annotated[float, Meta(ge=0, le=1e12)]
    server_s: Seconds
    accuracy: Ratio
    memory_bytes: Count = 0
    device_energy_j: _Joules = 0.0
    cut: Annotated[int, Meta(ge=0, le=255)] | None = None
    precision_bits: Annotated[int, Meta(ge=1, le=32)] | None = None
    coding: str = ""


class PlanTable(Record, frozen=True, tag_field="v", tag=1):
    """All designs of a network. A plan of another network's table is refused by its digest.

    Attributes:
        network_sha256: of the file that was cut.
        measure: what ``accuracy`` is.
    """

    what: ClassVar[str] = "a plan table"
    most_bytes: ClassVar[int] = 1 << 20

    network_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    measure: str
    designs: Annotated[tuple[Design, ...], Meta(min_length=1, max_length=MOST_DESIGNS)]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a table.

        Raises:
            RecordError: no JSON object, a field out of its range, or two designs of one name.
        """
        found = super().parse(data)
        names = [design.name for design in found.designs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RecordError(f"{cls.what}: two designs are called {twice[0]!r}")
        return found

    def named(self, name: str) -> Design | None:
        """A design by its name."""
        return next((design for design in self.designs if design.name == name), None)
