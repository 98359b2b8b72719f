"""The sections of a packet: their layout, which travels once in its context, and their payloads, which each packet has.

::

    layout, in the context     kind u8 | level u8 | output or tensor id u16 | depends on u32 | description of the kind
    body, in each packet       length of each section but the last | digest u24 of each | payload of each

Sections lie one behind the other in the order of their layout, so no two can share a byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from msgspec import Struct

from narrows.contract.errors import (
    FieldInvalid,
    PacketTruncated,
    PayloadEmpty,
    SectionBounds,
    SectionCount,
    SectionKindUnknown,
    SectionOrder,
    SectionOverlap,
    ShapeBeyondLimits,
)
from narrows.contract.outputs.labels.packing import MAX_PIXELS
from narrows.contract.wire.frame_packet.content import KINDS, Content

MAX_SECTIONS = 32
MAX_ELEMENTS = MAX_PIXELS
"""Of all sections together: the largest label map."""
DIGEST_BITS = 24
_DIGEST_BYTES = DIGEST_BITS // 8
_LENGTH_BYTES = 3  # 21 bits: more than a packet has
_COMMON = struct.Struct("<BBHI")


class SectionLayout(Struct, frozen=True):
    """What a section is, the same in every packet of a context.

    Attributes:
        content: its kind and shape.
        id: of the output or tensor that it is.
        level: the rate level, an index into the bundle's; 0 where the kind has none.
        depends_on: indices of earlier sections whose symbols its contexts use.
    """

    content: Content
    id: int = 0
    level: int = 0
    depends_on: frozenset[int] = frozenset()

    def pack(self) -> bytes:
        """The layout's bytes; :func:`check_layouts` has passed.

        Raises:
            FieldInvalid: an id or a level out of its range.
        """
        depends = sum(1 << index for index in self.depends_on)
        try:
            common = _COMMON.pack(self.content.kind, self.level, self.id, depends)
        except struct.error as error:
            raise FieldInvalid(f"a section's field is out of its range: {error}") from None
        return common + self.content.pack()


class Section(Struct, frozen=True):
    """A section of one frame.

    Attributes:
        digest: the low bits of the CRC-32 of its symbols, as its kind defines them.
        payload: what its coder wrote, at least one byte.
        digest_bits: how many of them travelled: 24; in packet format 1, 32.
        reference_digest: of the symbols that a P packet is coded against; ``None``: not said, as in format 2.
    """

    digest: int
    payload: bytes
    digest_bits: int = DIGEST_BITS
    reference_digest: int | None = None

    def is_digest(self, digest: int) -> bool:
        """Whether its symbols may have this digest."""
        return (self.digest ^ digest) & ((1 << self.digest_bits) - 1) == 0


def check_layouts(layouts: Sequence[SectionLayout]) -> None:
    """Refuse layouts that contradict one another.

    Raises:
        SectionCount: none, or more than 32.
        SectionOrder: a section depends on itself or a later one.
        SectionOverlap: two sections are the same output or tensor.
        ShapeBeyondLimits, FieldInvalid: see the contents' ``check``; or too much in all.
    """
    _check_count(len(layouts))
    seen: set[tuple[int, int]] = set()
    for index, layout in enumerate(layouts):
        layout.content.check()
        if not all(0 <= other < index for other in layout.depends_on):
            raise SectionOrder(f"section {index} depends on {sorted(layout.depends_on)}: only earlier ones can be used")
        named = layout.content.kind, layout.id
        if named in seen:
            raise SectionOverlap(f"section {index} is kind {named[0]}, id {named[1]} once more: each is there once")
        seen.add(named)
    elements = sum(layout.content.elements for layout in layouts)
    if elements > MAX_ELEMENTS:
        raise ShapeBeyondLimits(f"sections of {elements} values together; the limit is {MAX_ELEMENTS}")


def read_layouts(data: bytes, at: int, count: int) -> tuple[tuple[SectionLayout, ...], int]:
    """The layouts that lie from ``at`` on, and where they end.

    Raises:
        PacketTruncated: fewer bytes than they need.
        SectionKindUnknown: a kind that this build does not read.
        SectionCount, SectionOrder, SectionOverlap, ShapeBeyondLimits, FieldInvalid: as :func:`check_layouts`.
    """
    _check_count(count)
    layouts = []
    for index in range(count):
        layout, at = _read_layout(data, at, index)
        layouts.append(layout)
    check_layouts(layouts)
    return tuple(layouts), at


def write_body(layouts: Sequence[SectionLayout], sections: Sequence[Section]) -> bytes:
    """The body of a packet: what its check covers beside the header, or its seal hides.

    Raises:
        SectionCount: other sections than the context lays out.
        PayloadEmpty: one has no payload.
        FieldInvalid: a digest does not fit 24 bits.
    """
    if len(sections) != len(layouts):
        raise SectionCount(f"{len(sections)} sections; the context lays out {len(layouts)}")
    for index, section in enumerate(sections):
        if not section.payload:
            raise PayloadEmpty(f"section {index} needs at least one payload byte")
        if not 0 <= section.digest < 1 << DIGEST_BITS:
            raise FieldInvalid(f"section {index} has a digest that does not fit {DIGEST_BITS} bits")
    return b"".join(
        (
            *(_write_length(len(section.payload)) for section in sections[:-1]),
            *(section.digest.to_bytes(_DIGEST_BYTES, "little") for section in sections),
            *(section.payload for section in sections),
        )
    )


def read_body(layouts: Sequence[SectionLayout], body: bytes) -> tuple[Section, ...]:
    """The sections of a body.

    Raises:
        PacketTruncated: lengths or digests are not all there.
        SectionBounds: the lengths go beyond the body's end.
        PayloadEmpty: a section has no payload.
        FieldInvalid: a length is not written in the shortest form.
    """
    lengths, at = [], 0
    for _ in layouts[1:]:
        length, at = _read_length(body, at)
        lengths.append(length)
    begin = at + _DIGEST_BYTES * len(layouts)
    if begin > len(body):
        raise PacketTruncated(f"a body of {len(body)} bytes; {len(layouts)} sections' digests alone end at {begin}")
    left = len(body) - begin - sum(lengths)
    if left < 0:
        raise SectionBounds(f"sections of {sum(lengths)} bytes without the last; {len(body) - begin} are there")
    lengths.append(left)
    if 0 in lengths:
        raise PayloadEmpty(f"section {lengths.index(0)} needs at least one payload byte")
    return tuple(_sections(body, at, begin, lengths))


def _sections(body: bytes, digests: int, begin: int, lengths: Sequence[int]) -> Iterator[Section]:
    for index, length in enumerate(lengths):
        at = digests + index * _DIGEST_BYTES
        yield Section(int.from_bytes(body[at : at + _DIGEST_BYTES], "little"), body[begin : begin + length])
        begin += length


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_SECTIONS:
        raise SectionCount(f"{count} sections; a packet has 1 to {MAX_SECTIONS}")


def _read_layout(data: bytes, at: int, index: int) -> tuple[SectionLayout, int]:
    kind, level, number, depends = _COMMON.unpack(_taken(data, at, _COMMON.size))
    content = KINDS.get(kind)
    if content is None:
        raise SectionKindUnknown(
            f"section {index} is of kind {kind}; this build reads {sorted(KINDS)}: upgrade it first"
        )
    end = at + _COMMON.size + content.layout.size
    described = content.unpack(_taken(data, at + _COMMON.size, content.layout.size))
    used = frozenset(other for other in range(MAX_SECTIONS) if depends >> other & 1)
    return SectionLayout(described, number, level, used), end


def _taken(data: bytes, at: int, size: int) -> bytes:
    taken = data[at : at + size]
    if len(taken) != size:
        raise PacketTruncated(f"{len(data)} bytes; a section's layout goes on to {at + size}")
    return taken


def _write_length(length: int) -> bytes:
    """LEB128: 7 bits a byte, the lowest first, bit 7 where more follow."""
    written = bytearray()
    while length > 0x7F:
        written.append(length & 0x7F | 0x80)
        length >>= 7
    written.append(length)
    return bytes(written)


def _read_length(body: bytes, at: int) -> tuple[int, int]:
    length = 0
    for index, byte in enumerate(body[at : at + _LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index:
                raise FieldInvalid("a section's length is not written in the shortest form")
            return length, at + index + 1
    if len(body) - at >= _LENGTH_BYTES:
        raise SectionBounds("a section's length has more than 21 bits: more than a packet")
    raise PacketTruncated(f"a body of {len(body)} bytes ends within a section's length")
