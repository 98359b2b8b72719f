"""What a section of a packet may hold: one class for each kind, registered in :data:`KINDS`.

A class says how the description of its kind is written into a packet's context; how its payload is coded is its
coder's matter. A kind that is not in the table is refused by name, so a new one needs a line here and in
``docs/wire-format.md``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Self

from msgspec import Struct

from narrows.contract.errors import FieldInvalid, ShapeBeyondLimits
from narrows.contract.outputs.labels.packing import MAX_PIXELS, MAX_SIDE
from narrows.contract.outputs.objects import MAX_MASK_SIDE, MOST_PROMPTS
from narrows.contract.wire.feature import MAX_SYMBOLS, LatentShape

_U16 = 0xFFFF


class Latent(Struct, frozen=True):
    """Kind 1: symbols ``(channels, height, width)`` int8 of a latent, as ``docs/symbol-coding.md`` codes them."""

    kind: ClassVar[int] = 1
    layout: ClassVar[struct.Struct] = struct.Struct("<I")

    shape: LatentShape

    @property
    def elements(self) -> int:
        """How many symbols a receiver makes room for."""
        return self.shape.symbols

    def check(self) -> None:
        """Refuse what no receiver decodes.

        Raises:
            ShapeBeyondLimits: too many symbols, or none.
        """
        channels, height, width = self.shape.as_tuple()
        if not (0 < channels <= 1024 and 0 < height <= 2048 and 0 < width <= 2048 and self.elements <= MAX_SYMBOLS):
            raise ShapeBeyondLimits(
                f"a latent of {channels} x {height} x {width}: at most 1024 x 2048 x 2048, and {MAX_SYMBOLS} symbols"
            )

    def pack(self) -> bytes:
        """The description: each side less one, in 10, 11 and 11 bits."""
        channels, height, width = self.shape.as_tuple()
        return self.layout.pack((channels - 1) | (height - 1) << 10 | (width - 1) << 21)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a description of the right length."""
        (packed,) = cls.layout.unpack(data)
        return cls(LatentShape((packed & 0x3FF) + 1, (packed >> 10 & 0x7FF) + 1, (packed >> 21) + 1))


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Kind 2: a label map ``(height, width)`` uint8 of labels below ``labels``.

    Attributes:
        labels: how many labels there are, 2 to 255.
        table_id: of the label table that it is coded with; 0: the general one.
    """

    kind: ClassVar[int] = 2
    layout: ClassVar[struct.Struct] = struct.Struct("<HHBQ")

    height: int
    width: int
    labels: int
    table_id: int = 0

    @property
    def elements(self) -> int:
        """How many pixels a receiver makes room for."""
        return self.height * self.width

    def check(self) -> None:
        """Refuse what no receiver decodes.

        Raises:
            ShapeBeyondLimits: too many pixels, or none.
            FieldInvalid: a number of labels that no map has, or a table id beyond 64 bits.
        """
        if not (0 < self.height <= MAX_SIDE and 0 < self.width <= MAX_SIDE and self.elements <= MAX_PIXELS):
            raise ShapeBeyondLimits(
                f"a label map of {self.height} x {self.width}: sides are 1 to {MAX_SIDE}, pixels at most {MAX_PIXELS}"
            )
        if not (2 <= self.labels <= 255 and 0 <= self.table_id < 1 << 64):
            raise FieldInvalid(
                f"a label map of {self.labels} labels, table {self.table_id:#x}: there are 2 to 255 labels"
            )

    def pack(self) -> bytes:
        """The description."""
        return self.layout.pack(self.height, self.width, self.labels, self.table_id)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a description of the right length."""
        return cls(*cls.layout.unpack(data))


@dataclass(frozen=True, slots=True)
class Tensor:
    """Kind 3: a quantised tensor, where a network was split elsewhere than at its bottleneck.

    Attributes:
        shape: 1 to 4 sides of 1 to 65 535, without the batch.
        precision_bits: of each value, 1 to 16.
    """

    kind: ClassVar[int] = 3
    layout: ClassVar[struct.Struct] = struct.Struct("<BHHHH")
    most_sides: ClassVar[int] = 4

    shape: tuple[int, ...]
    precision_bits: int

    @property
    def elements(self) -> int:
        """How many values a receiver makes room for."""
        return prod(self.shape)

    def check(self) -> None:
        """Refuse what no receiver decodes.

        Raises:
            ShapeBeyondLimits: too many values or sides, or none.
            FieldInvalid: a precision that is not 1 to 16 bits.
        """
        sides = 1 <= len(self.shape) <= self.most_sides and all(0 < side <= _U16 for side in self.shape)
        if not sides or self.elements > MAX_SYMBOLS:
            raise ShapeBeyondLimits(
                f"a tensor of {self.shape}: 1 to 4 sides of 1 to {_U16}, and at most {MAX_SYMBOLS} values"
            )
        if not 1 <= self.precision_bits <= 16:
            raise FieldInvalid(f"a tensor of {self.precision_bits} bits a value: there are 1 to 16")

    def pack(self) -> bytes:
        """The description; sides that are not there are 0."""
        return self.layout.pack(self.precision_bits, *self.shape, *(0,) * (self.most_sides - len(self.shape)))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a description of the right length; a 0 before the last side stays, and is refused."""
        precision_bits, *sides = cls.layout.unpack(data)
        while sides and sides[-1] == 0:
            sides.pop()
        return cls(tuple(sides), precision_bits)


@dataclass(frozen=True, slots=True)
class Objects:
    """Kind 4: masks of the things that prompts point at, as :mod:`narrows.contract.outputs.objects` packs them.

    Attributes:
        network: the first 8 bytes of the SHA-256 of the network's file, as an integer: what made them.
    """

    kind: ClassVar[int] = 4
    layout: ClassVar[struct.Struct] = struct.Struct("<Q")

    network: int

    @property
    def elements(self) -> int:
        """How many pixels a receiver makes room for, at most."""
        return MOST_PROMPTS * MAX_MASK_SIDE**2

    def check(self) -> None:
        """Refuse a network that 64 bits do not name.

        Raises:
            FieldInvalid: it is none.
        """
        if not 0 <= self.network < 1 << 64:
            raise FieldInvalid(f"objects of network {self.network:#x}: its id has 64 bits")

    def pack(self) -> bytes:
        """The description."""
        return self.layout.pack(self.network)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a description of the right length."""
        return cls(*cls.layout.unpack(data))


Content = Latent | LabelMap | Tensor | Objects
KINDS: dict[int, type[Content]] = {content.kind: content for content in (Latent, LabelMap, Tensor, Objects)}
"""Every kind of section that this build reads, by its number on the wire."""
