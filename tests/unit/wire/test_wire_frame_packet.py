"""Packet format 2: it round trips, and whatever the bytes, a parser answers with a packet or a named refusal."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import (
    ContextLost,
    FieldInvalid,
    FrameRefused,
    PacketCorrupt,
    PacketError,
    PacketTooLarge,
    PacketTruncated,
    PayloadEmpty,
    SchemaUnknown,
    SectionBounds,
    SectionCount,
    SectionKindUnknown,
    SectionOrder,
    SectionOverlap,
    ShapeBeyondLimits,
)
from narrows.contract.wire import FeaturePacket, FrameIdentity, LatentShape, PacketKind
from narrows.contract.wire.feature import MAX_PACKET_BYTES
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
from tests.unit.wire.frame_packet_strategies import contexts, frames, heads
from tests.unit.wire.wire_strategies import mutated

LATENT = SectionLayout(Latent(LatentShape(8, 23, 30)))
MAP = SectionLayout(LabelMap(60, 80, 11), depends_on=frozenset({0}))
CONTEXT = PacketContext(1, 2, 300, 4000, (LATENT,))
TWO = replace(CONTEXT, sections=(LATENT, MAP))
KEY = FramePacket(FrameHead(CONTEXT, 300, 4000), (Section(5, b"symbols"),))
PREDICTED = FramePacket(FrameHead(CONTEXT, 301, 4033, PacketKind.PREDICTED, 1), (Section(6, b"sym"),))
BOTH = FramePacket(FrameHead(TWO, 301, 4033), (Section(6, b"symbols"), Section(7, b"labels")))


def parsed(data: bytes, kept: PacketContext | None = None) -> FramePacket:
    envelope = Envelope.parse(data)
    return FramePacket.of_open(envelope.head(kept), envelope.rest)


def with_crc(head: FrameHead, body: bytes) -> bytes:
    """A packet around any body, with its CRC made right."""
    return head.short() + body + struct.pack("<I", zlib.crc32(body, zlib.crc32(head.full())))


def with_context(context: bytes) -> bytes:
    """The outside of a packet that carries these bytes as its context."""
    return bytes([0x22]) + bytes(8) + context + bytes(40)


@given(frames())
def test_a_packet_comes_back_from_its_bytes(frame: FramePacket) -> None:
    assert parsed(frame.to_bytes(), frame.head.context) == frame


@given(frames())
def test_a_packet_has_one_form(frame: FramePacket) -> None:
    assert parsed(frame.to_bytes(), frame.head.context).to_bytes() == frame.to_bytes()


def test_a_packet_of_a_known_context_spends_16_bytes_beside_its_payload() -> None:
    again = replace(KEY, head=replace(KEY.head, sequence=301))
    assert [len(frame.to_bytes()) - len(frame.sections[0].payload) for frame in (PREDICTED, again)] == [16, 16]


@given(contexts())
def test_a_context_comes_back_from_its_bytes_and_is_named_by_them(context: PacketContext) -> None:
    found = PacketContext.parse(context.encoded)
    assert (found, found.id) == (context, context.id)
    assert replace(context, cut=context.cut ^ 1).id != context.id


@given(heads())
def test_the_identity_is_told_whatever_came_before(head: FrameHead) -> None:
    """The distance from the context is exact: neither order nor loss of other packets changes what it says."""
    envelope = Envelope.parse(head.short() + bytes(20))
    told = envelope.head(head.context)
    assert told == head
    assert told.identity == FrameIdentity(head.context.epoch, head.sequence)
    assert told.nonce() == struct.pack("<QI", head.context.epoch, head.sequence)


@given(heads(), heads())
def test_two_frames_never_have_the_same_full_header(one: FrameHead, other: FrameHead) -> None:
    assert (one.full() == other.full()) == (one == other)


@pytest.mark.parametrize(
    ("frames_on", "later_ms"), [(0x10000, 0), (1, 0x10000), (1, -1), (-1, 0)], ids=["frames", "time", "back", "before"]
)
def test_what_16_bits_do_not_count_needs_another_context(frames_on: int, later_ms: int) -> None:
    head = FrameHead(CONTEXT, 300 + frames_on, 4000 + later_ms)
    assert not CONTEXT.reaches(head.sequence, head.capture_ms)
    with pytest.raises(FieldInvalid, match="begin another"):
        head.short()


def test_a_sequence_beyond_32_bits_is_refused_by_both_ends() -> None:
    last = replace(CONTEXT, sequence=0xFFFFFFFF)
    with pytest.raises(FieldInvalid, match="beyond"):
        FrameHead(last, 0x100000000, 4000).short()
    data = bytes([2]) + last.id.to_bytes(4, "little") + b"\1\0\0\0" + bytes(20)
    with pytest.raises(FieldInvalid, match="beyond"):
        Envelope.parse(data).head(last)


def test_a_capture_time_beyond_48_bits_is_refused_by_both_ends() -> None:
    last = replace(CONTEXT, capture_ms=(1 << 48) - 1)
    with pytest.raises(FieldInvalid, match="48 bits"):
        FrameHead(last, 301, 1 << 48).short()
    data = bytes([2]) + last.id.to_bytes(4, "little") + b"\1\0\1\0" + bytes(20)
    with pytest.raises(FieldInvalid, match="48 bits"):
        Envelope.parse(data).head(last)


def test_a_context_that_is_not_at_hand_is_lost() -> None:
    with pytest.raises(ContextLost, match=f"{CONTEXT.id:08x}"):
        parsed(PREDICTED.to_bytes())


def test_another_context_than_the_one_that_is_named_is_refused() -> None:
    with pytest.raises(FieldInvalid, match="under the id"):
        parsed(PREDICTED.to_bytes(), TWO)


@given(frames(), st.integers(0, 1 << 20), st.integers(0, 7))
def test_every_single_flipped_bit_is_noticed(frame: FramePacket, position: int, bit: int) -> None:
    data = bytearray(frame.to_bytes())
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(FrameRefused):
        parsed(bytes(data), frame.head.context)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(FrameRefused):
        parsed(b"\x02" + data, CONTEXT)


@given(st.data())
def test_a_mutated_packet_is_itself_or_refused_by_name(data: st.DataObject) -> None:
    frame = data.draw(frames())
    changed = data.draw(mutated(frame.to_bytes()))
    try:
        assert parsed(changed, frame.head.context) == frame
    except FrameRefused:
        assert changed != frame.to_bytes()


@given(st.binary(max_size=120))
def test_an_arbitrary_body_with_a_right_crc_gives_a_packet_or_a_named_refusal(body: bytes) -> None:
    data = with_crc(BOTH.head, body)
    try:
        frame = parsed(data, TWO)
    except PacketError:
        return
    assert frame.to_bytes() == data


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_context_or_refused_by_name(data: bytes) -> None:
    try:
        context = PacketContext.parse(data)
    except PacketError:
        return
    assert context.encoded == data


@pytest.mark.parametrize("size", [0, 1, 16])
def test_fewer_bytes_than_any_packet_has_are_truncated(size: int) -> None:
    with pytest.raises(PacketTruncated):
        Envelope.parse(PREDICTED.to_bytes()[:size])


def test_every_cut_of_a_packet_with_its_context_is_refused() -> None:
    data = KEY.to_bytes()
    for size in range(len(data)):
        with pytest.raises((PacketTruncated, PacketCorrupt)):
            parsed(data[:size])


def test_each_format_refuses_the_other_by_name() -> None:
    with pytest.raises(SchemaUnknown, match="upgrade"):
        FeaturePacket.parse(KEY.to_bytes())
    first = FeaturePacket(1, 2, 300, 4, 0, LatentShape(8, 23, 30), 5, b"symbols")
    with pytest.raises(SchemaUnknown, match="format 1"):
        Envelope.parse(first.to_bytes())


def test_changed_bytes_are_corrupt() -> None:
    with pytest.raises(PacketCorrupt):
        parsed(KEY.to_bytes()[:-1] + b"\0")


def test_the_crc_covers_the_context_that_does_not_travel() -> None:
    """Were another context kept under the same id, its packets would not be taken for this one's."""
    other = replace(CONTEXT, epoch=3)
    object.__setattr__(other, "id", CONTEXT.id)
    with pytest.raises(PacketCorrupt):
        parsed(PREDICTED.to_bytes(), other)


def test_a_packet_of_100_megabytes_is_too_large_before_anything_is_read_of_it() -> None:
    with pytest.raises(PacketTooLarge):
        Envelope.parse(bytes(100_000_000))


def test_the_largest_packet_passes_and_one_byte_more_does_not() -> None:
    largest = replace(PREDICTED, sections=(Section(6, bytes(MAX_PACKET_BYTES - 16)),))
    assert parsed(largest.to_bytes(), CONTEXT) == largest
    with pytest.raises(PacketTooLarge):
        replace(largest, sections=(Section(6, bytes(MAX_PACKET_BYTES - 15)),)).to_bytes()


def sections_of(count: int) -> tuple[SectionLayout, ...]:
    return tuple(replace(LATENT, id=index) for index in range(count))


def test_32_sections_pass_and_33_are_refused_by_both_ends() -> None:
    most = replace(CONTEXT, sections=sections_of(MAX_SECTIONS))
    frame = FramePacket(FrameHead(most, 300, 4000), tuple(Section(i, b"x" * (i + 1)) for i in range(MAX_SECTIONS)))
    assert parsed(frame.to_bytes()) == frame
    with pytest.raises(SectionCount, match="33"):
        _ = replace(CONTEXT, sections=sections_of(33)).encoded
    with pytest.raises(SectionCount, match="33"):
        Envelope.parse(with_context(most.encoded[:34] + b"\x21" + most.encoded[35:] + bytes(12)))


def test_a_packet_without_sections_is_refused_by_both_ends() -> None:
    with pytest.raises(SectionCount):
        _ = replace(CONTEXT, sections=()).encoded
    with pytest.raises(SectionCount):
        Envelope.parse(with_context(CONTEXT.encoded[:34] + b"\0"))


@pytest.mark.parametrize("other", [0, 1, 31], ids=["itself", "the next", "the last there may be"])
def test_a_section_that_depends_on_itself_or_a_later_one_is_refused_by_both_ends(other: int) -> None:
    context = replace(CONTEXT, sections=(replace(LATENT, depends_on=frozenset({other})), replace(LATENT, id=1)))
    with pytest.raises(SectionOrder, match="only earlier"):
        _ = context.encoded
    data = bytearray(replace(context, sections=(LATENT, replace(LATENT, id=1))).encoded)
    data[39 : 39 + 4] = struct.pack("<I", 1 << other)
    with pytest.raises(SectionOrder, match="only earlier"):
        Envelope.parse(with_context(bytes(data)))


def test_a_section_may_depend_on_every_earlier_one() -> None:
    first = sections_of(MAX_SECTIONS - 1)
    last = replace(LATENT, id=40, depends_on=frozenset(range(MAX_SECTIONS - 1)))
    context = replace(CONTEXT, sections=(*first, last))
    assert PacketContext.parse(context.encoded).sections[-1].depends_on == frozenset(range(31))


def test_the_same_output_twice_is_refused_by_both_ends() -> None:
    with pytest.raises(SectionOverlap, match="once"):
        _ = replace(CONTEXT, sections=(LATENT, LATENT)).encoded
    data = bytearray(replace(CONTEXT, sections=(LATENT, replace(LATENT, id=1))).encoded)
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
        _ = replace(CONTEXT, sections=(SectionLayout(content),)).encoded


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
    data = bytearray(replace(CONTEXT, sections=(SectionLayout(content),)).encoded)
    data[43 + at : 43 + at + len(value)] = value
    with pytest.raises(refusal):
        Envelope.parse(with_context(bytes(data)))


def test_sections_that_are_too_much_together_are_beyond_the_limits() -> None:
    large = Latent(LatentShape(1, 2048, 2048))
    four = tuple(SectionLayout(large, id=index) for index in range(4))
    assert replace(CONTEXT, sections=four).id
    with pytest.raises(ShapeBeyondLimits, match="together"):
        _ = replace(CONTEXT, sections=(*four, replace(LATENT, id=5))).encoded


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


@pytest.mark.parametrize(
    ("flags", "offset", "says"),
    [
        (0x42, 1, "names no reference"),
        (0x22, 1, "carries the context"),
        (0x02, 0, "carries the context"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(flags: int, offset: int, says: str) -> None:
    data = bytes([flags]) + bytes(4) + struct.pack("<HH", offset, 0) + CONTEXT.encoded + bytes(20)
    with pytest.raises(FieldInvalid, match=says):
        Envelope.parse(data)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (FrameHead(CONTEXT, 300, 4001), "begins with a K"),
        (FrameHead(CONTEXT, 300, 4000, PacketKind.PREDICTED, 1), "begins with a K"),
        (FrameHead(CONTEXT, 301, 4000, PacketKind.KEY, 1), "names no reference"),
        (FrameHead(CONTEXT, 310, 4000, PacketKind.PREDICTED, 0), "needs a reference"),
        (FrameHead(CONTEXT, 310, 4000, PacketKind.PREDICTED, 5), "needs a reference"),
        (FrameHead(CONTEXT, 302, 4000, PacketKind.PREDICTED, 3), "before its context"),
    ],
)
def test_a_header_that_contradicts_its_context_cannot_be_sent(head: FrameHead, says: str) -> None:
    with pytest.raises(FieldInvalid, match=says):
        head.short()


def test_a_received_reference_before_the_context_is_refused() -> None:
    data = bytearray(PREDICTED.to_bytes())
    data[0] |= 0x40
    with pytest.raises(FieldInvalid, match="before its context"):
        parsed(bytes(data), CONTEXT)


@pytest.mark.parametrize(
    "changes",
    [
        {"bundle_id": 1 << 64},
        {"epoch": -1},
        {"sequence": 1 << 32},
        {"capture_ms": 1 << 48},
        {"cut": 256},
        {"cipher": 16, "key_id": 1},
        {"cipher": 1},
        {"key_id": 1},
        {"source_width": 640},
        {"source_width": 1 << 16, "source_height": 1},
        {"orientation": 0},
        {"orientation": 9},
        {"sections": (replace(LATENT, level=256),)},
        {"sections": (replace(LATENT, id=1 << 16),)},
    ],
)
def test_a_context_with_a_field_out_of_its_range_cannot_be_sent(changes: dict[str, Any]) -> None:
    with pytest.raises(FieldInvalid):
        _ = replace(CONTEXT, **changes).encoded


@pytest.mark.parametrize(("at", "value"), [(27, 16), (27, 1), (28, 1), (29, 1), (33, 0), (33, 9)])
def test_a_received_context_that_contradicts_itself_is_refused(at: int, value: int) -> None:
    data = bytearray(CONTEXT.encoded)
    data[at] = value
    with pytest.raises(FieldInvalid):
        PacketContext.parse(bytes(data))


def test_bytes_behind_a_kept_context_are_refused() -> None:
    with pytest.raises(FieldInvalid, match="ends at"):
        PacketContext.parse(CONTEXT.encoded + b"\0")


def test_a_sealed_context_has_no_open_packets() -> None:
    sealed = replace(CONTEXT, cipher=1, key_id=1)
    frame = replace(KEY, head=FrameHead(sealed, 300, 4000))
    with pytest.raises(FieldInvalid, match="no open one"):
        frame.to_bytes()
    with pytest.raises(FieldInvalid, match="no open one"):
        FramePacket.of_open(frame.head, bytes(20))


def test_a_packet_has_the_sections_of_its_context() -> None:
    with pytest.raises(SectionCount, match="lays out 2"):
        replace(BOTH, sections=BOTH.sections[:1]).to_bytes()
    with pytest.raises(FieldInvalid, match="24 bits"):
        replace(KEY, sections=(Section(1 << 24, b"x"),)).to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        bytes(100_000_000),
        with_context(CONTEXT.encoded[:43] + b"\xff" * 4),
        with_context(CONTEXT.encoded[:34] + b"\xff" + CONTEXT.encoded[35:]),
        KEY.to_bytes()[:-1],
    ],
    ids=["100 MB", "latent of 4 Gi symbols", "255 sections", "cut off"],
)
def test_a_refusal_allocates_next_to_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PacketError):
            parsed(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 100_000
