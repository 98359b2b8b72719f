"""Sections of a packet of format 2: how many, of which kinds, in which order, how long."""

from __future__ import annotations

import dataclasses
import struct

import pytest
from msgspec.structs import replace

from narrows.contract.errors import (
    FieldInvalid,
    PacketError,
    PacketTruncated,
    PayloadEmpty,
    SectionBounds,
    SectionCount,
    SectionKindUnknown,
    SectionOrder,
    SectionOverlap,
    ShapeBeyondLimits,
)
from narrows.contract.wire import LatentShape
from narrows.contract.wire.frame_packet import (
    KINDS,
    MAX_SECTIONS,
    Envelope,
    FrameHead,
    FramePacket,
    LabelMap,
    Latent,
    PacketContext,
    Section,
    SectionLayout,
    Tensor,
)
from narrows.contract.wire.frame_packet.content import Content
from narrows.contract.wire.frame_packet.section import read_body, write_body
from tests.unit.wire.frame_packet_samples import (
    BOTH,
    CONTEXT,
    LATENT,
    TWO,
    parsed,
    with_context,
    with_crc,
)


def sections_of(count: int) -> tuple[SectionLayout, ...]:
    return tuple(replace(LATENT, id=index) for index in range(count))


def test_32_sections_pass_and_33_are_refused_by_both_ends() -> None:
    most = dataclasses.replace(CONTEXT, sections=sections_of(MAX_SECTIONS))
    frame = FramePacket(FrameHead(most, 300, 4000), tuple(Section(i, b"x" * (i + 1)) for i in range(MAX_SECTIONS)))
    assert parsed(frame.to_bytes()) == frame
    with pytest.raises(SectionCount, match="33"):
        _ = dataclasses.replace(CONTEXT, sections=sections_of(33)).encoded
    with pytest.raises(SectionCount, match="33"):
        Envelope.parse(with_context(most.encoded[:34] + b"\x21" + most.encoded[35:] + bytes(12)))


def test_a_packet_without_sections_is_refused_by_both_ends() -> None:
    with pytest.raises(SectionCount):
        _ = dataclasses.replace(CONTEXT, sections=()).encoded
    with pytest.raises(SectionCount):
        Envelope.parse(with_context(CONTEXT.encoded[:34] + b"\0"))


@pytest.mark.parametrize("other", [0, 1, 31], ids=["itself", "the next", "the last there may be"])
def test_a_section_that_depends_on_itself_or_a_later_one_is_refused_by_both_ends(other: int) -> None:
    context = dataclasses.replace(
        CONTEXT, sections=(replace(LATENT, depends_on=frozenset({other})), replace(LATENT, id=1))
    )
    with pytest.raises(SectionOrder, match="only earlier"):
        _ = context.encoded
    data = bytearray(dataclasses.replace(context, sections=(LATENT, replace(LATENT, id=1))).encoded)
    data[39 : 39 + 4] = struct.pack("<I", 1 << other)
    with pytest.raises(SectionOrder, match="only earlier"):
        Envelope.parse(with_context(bytes(data)))


def test_a_section_may_depend_on_every_earlier_one() -> None:
    first = sections_of(MAX_SECTIONS - 1)
    last = replace(LATENT, id=40, depends_on=frozenset(range(MAX_SECTIONS - 1)))
    context = dataclasses.replace(CONTEXT, sections=(*first, last))
    assert PacketContext.parse(context.encoded).sections[-1].depends_on == frozenset(range(31))


def test_the_same_output_twice_is_refused_by_both_ends() -> None:
    with pytest.raises(SectionOverlap, match="once"):
        _ = dataclasses.replace(CONTEXT, sections=(LATENT, LATENT)).encoded
    data = bytearray(dataclasses.replace(CONTEXT, sections=(LATENT, replace(LATENT, id=1))).encoded)
    data[-10:-8] = b"\0\0"
    with pytest.raises(SectionOverlap, match="once"):
        Envelope.parse(with_context(bytes(data)))


def test_a_label_map_and_a_latent_may_have_the_same_id() -> None:
    assert parsed(BOTH.to_bytes(), TWO) == BOTH


@pytest.mark.parametrize("kind", [0, max(KINDS) + 1, 255])
def test_an_unknown_kind_is_refused_by_name(kind: int) -> None:
    data = bytearray(CONTEXT.encoded)
    data[35] = kind
    with pytest.raises(SectionKindUnknown, match=f"kind {kind}.*upgrade"):
        Envelope.parse(with_context(bytes(data)))


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (Latent(LatentShape(1024, 2048, 2048)), ShapeBeyondLimits),
        (Latent(LatentShape(1025, 1, 1)), ShapeBeyondLimits),
        (Latent(LatentShape(1, 0, 1)), ShapeBeyondLimits),
        (LabelMap(0, 1, 2), ShapeBeyondLimits),
        (LabelMap(8193, 1, 2), ShapeBeyondLimits),
        (LabelMap(8192, 8192, 2), ShapeBeyondLimits),
        (LabelMap(1, 1, 1), FieldInvalid),
        (LabelMap(1, 1, 256), FieldInvalid),
        (LabelMap(1, 1, 2, 1 << 64), FieldInvalid),
        (Tensor((), 8), ShapeBeyondLimits),
        (Tensor((1, 0, 1), 8), ShapeBeyondLimits),
        (Tensor((1, 1, 1, 1, 1), 8), ShapeBeyondLimits),
        (Tensor((2049, 2048), 8), ShapeBeyondLimits),
        (Tensor((1,), 0), FieldInvalid),
        (Tensor((1,), 17), FieldInvalid),
    ],
)
def test_a_shape_that_no_receiver_decodes_cannot_be_sent(content: Content, refusal: type[PacketError]) -> None:
    with pytest.raises(refusal):
        _ = dataclasses.replace(CONTEXT, sections=(SectionLayout(content),)).encoded


@pytest.mark.parametrize(
    ("content", "at", "value", "refusal"),
    [
        (LATENT.content, 0, b"\xff\xff\xff\xff", ShapeBeyondLimits),
        (LabelMap(1, 1, 2), 0, b"\xff\xff", ShapeBeyondLimits),
        (LabelMap(1, 1, 2), 4, b"\1", FieldInvalid),
        (Tensor((1,), 8), 1, b"\0", ShapeBeyondLimits),
        (Tensor((1, 2), 8), 1, b"\0\0", ShapeBeyondLimits),
        (Tensor((1,), 8), 0, b"\x11", FieldInvalid),
    ],
)
def test_a_shape_that_no_receiver_decodes_is_refused(
    content: Content, at: int, value: bytes, refusal: type[PacketError]
) -> None:
    data = bytearray(dataclasses.replace(CONTEXT, sections=(SectionLayout(content),)).encoded)
    data[43 + at : 43 + at + len(value)] = value
    with pytest.raises(refusal):
        Envelope.parse(with_context(bytes(data)))


def test_sections_that_are_too_much_together_are_beyond_the_limits() -> None:
    large = Latent(LatentShape(1, 2048, 2048))
    four = tuple(SectionLayout(large, id=index) for index in range(4))
    assert dataclasses.replace(CONTEXT, sections=four).id
    with pytest.raises(ShapeBeyondLimits, match="together"):
        _ = dataclasses.replace(CONTEXT, sections=(*four, replace(LATENT, id=5))).encoded


def test_a_length_beyond_the_packet_is_refused() -> None:
    body = BOTH.body()
    assert body[0] == len(b"symbols")
    with pytest.raises(SectionBounds):
        parsed(with_crc(BOTH.head, b"\x0e" + body[1:]), TWO)


@pytest.mark.parametrize(("length", "empty"), [(b"\0", 0), (b"\x0d", 1)])
def test_an_empty_section_is_refused(length: bytes, empty: int) -> None:
    with pytest.raises(PayloadEmpty, match=f"section {empty}"):
        parsed(with_crc(BOTH.head, length + BOTH.body()[1:]), TWO)
    with pytest.raises(PayloadEmpty):
        write_body(TWO.sections, (Section(0, b""), Section(0, b"x")))


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", PacketTruncated),
        (b"\x87", PacketTruncated),
        (b"\x01\0\0\0\0\0", PacketTruncated),
        (b"\x87\0" + bytes(20), FieldInvalid),
        (b"\x87\x80\0" + bytes(20), FieldInvalid),
        (b"\xff\xff\xff\x01" + bytes(20), SectionBounds),
        (b"\xff\xff\x7f" + bytes(20), SectionBounds),
    ],
)
def test_a_malformed_length_is_refused_by_name(body: bytes, refusal: type[PacketError]) -> None:
    with pytest.raises(PacketError) as refused:
        read_body(TWO.sections, body)
    assert refused.type is refusal


@pytest.mark.parametrize("size", [1, 127, 128, 16_383, 16_384, 500_000])
def test_a_length_takes_a_byte_for_each_7_bits(size: int) -> None:
    sections = (Section(1, bytes(size)), Section(2, b"x"))
    body = write_body(TWO.sections, sections)
    assert read_body(TWO.sections, body) == sections
    assert len(body) == (size.bit_length() + 6) // 7 + 2 * 3 + size + 1
