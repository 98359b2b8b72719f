"""Packet format 2: it round trips, and whatever the bytes, a parser answers with a packet or a named refusal."""

from __future__ import annotations

import dataclasses
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.errors import (
    ContextLost,
    FieldInvalid,
    FrameRefused,
    PacketCorrupt,
    PacketError,
    PacketTooLarge,
    PacketTruncated,
    SchemaUnknown,
    SectionCount,
)
from narrows.contract.wire import FeaturePacket, FrameIdentity, LatentShape, PacketKind
from narrows.contract.wire.feature import MAX_PACKET_BYTES
from narrows.contract.wire.frame_packet import (
    Envelope,
    FrameHead,
    FramePacket,
    PacketContext,
    Section,
)
from tests.unit.wire.frame_packet_samples import (
    BOTH,
    CONTEXT,
    KEY,
    LATENT,
    PREDICTED,
    TWO,
    parsed,
    with_context,
    with_crc,
)
from tests.unit.wire.frame_packet_strategies import contexts, frames, heads
from tests.unit.wire.wire_strategies import mutated


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
    assert dataclasses.replace(context, cut=context.cut ^ 1).id != context.id


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
    last = dataclasses.replace(CONTEXT, sequence=0xFFFFFFFF)
    with pytest.raises(FieldInvalid, match="beyond"):
        FrameHead(last, 0x100000000, 4000).short()
    data = bytes([2]) + last.id.to_bytes(4, "little") + b"\1\0\0\0" + bytes(20)
    with pytest.raises(FieldInvalid, match="beyond"):
        Envelope.parse(data).head(last)


def test_a_capture_time_beyond_48_bits_is_refused_by_both_ends() -> None:
    last = dataclasses.replace(CONTEXT, capture_ms=(1 << 48) - 1)
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
    other = dataclasses.replace(CONTEXT, epoch=3)
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
        _ = dataclasses.replace(CONTEXT, **changes).encoded


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
    sealed = dataclasses.replace(CONTEXT, cipher=1, key_id=1)
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
