"""FeaturePacket: it round trips, and whatever the bytes, a parser answers with a packet or a named refusal."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.errors import (
    FieldInvalid,
    FrameRefused,
    PacketCorrupt,
    PacketError,
    PacketTooLarge,
    PacketTruncated,
    PayloadEmpty,
    SchemaUnknown,
    ShapeBeyondLimits,
)
from narrows.contract.wire import FeaturePacket, FrameIdentity, LatentShape, PacketKind
from narrows.contract.wire.feature import HEADER_BYTES, MAX_PACKET_BYTES
from tests.unit.wire.wire_strategies import mutated, packets

KEY = FeaturePacket(
    bundle_id=1,
    epoch=2,
    sequence=300,
    capture_ms=4,
    level=0,
    shape=LatentShape(8, 23, 30),
    own_digest=5,
    payload=b"symbols",
)
PREDICTED = replace(KEY, kind=PacketKind.PREDICTED, reference_distance=1, reference_digest=9)


def with_crc(data: bytes | bytearray) -> bytes:
    """The packet with its CRC made right, so that what lies behind the CRC check is reached."""
    body, payload = bytes(data[:44]), bytes(data[48:])
    return body + struct.pack("<I", zlib.crc32(payload, zlib.crc32(body))) + payload


def altered(packet: FeaturePacket, offset: int, value: int) -> bytes:
    data = bytearray(packet.to_bytes())
    data[offset] = value
    return with_crc(data)


@given(packets())
def test_a_packet_comes_back_from_its_bytes(packet: FeaturePacket) -> None:
    assert FeaturePacket.parse(packet.to_bytes()) == packet


@given(packets())
def test_the_header_with_its_crc_has_48_bytes(packet: FeaturePacket) -> None:
    assert len(packet.to_bytes()) == 48 + len(packet.payload) == HEADER_BYTES + len(packet.payload)


@given(packets())
def test_the_associated_data_is_the_header_before_the_crc(packet: FeaturePacket) -> None:
    assert packet.to_bytes()[:44] == packet.associated_data()


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(PacketError):
        FeaturePacket.parse(data)


@given(st.binary(min_size=47, max_size=120))
def test_arbitrary_bytes_with_a_right_crc_give_a_packet_or_a_named_refusal(data: bytes) -> None:
    try:
        packet = FeaturePacket.parse(with_crc(b"\x01" + data))
    except PacketError:
        return
    assert FeaturePacket.parse(packet.to_bytes()) == packet


@given(st.data())
def test_a_mutated_packet_is_itself_or_refused_by_name(data: st.DataObject) -> None:
    packet = data.draw(packets())
    changed = data.draw(mutated(packet.to_bytes()))
    if changed == packet.to_bytes():
        assert FeaturePacket.parse(changed) == packet
        return
    with pytest.raises(PacketError):
        FeaturePacket.parse(changed)


@given(packets(), st.integers(0, 1 << 20), st.integers(0, 7))
def test_every_single_flipped_bit_is_noticed(packet: FeaturePacket, position: int, bit: int) -> None:
    data = bytearray(packet.to_bytes())
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(PacketError):
        FeaturePacket.parse(bytes(data))


@pytest.mark.parametrize("size", [0, 1, 47])
def test_fewer_bytes_than_a_header_are_truncated(size: int) -> None:
    with pytest.raises(PacketTruncated):
        FeaturePacket.parse(KEY.to_bytes()[:size])


def test_another_schema_version_is_unknown() -> None:
    with pytest.raises(SchemaUnknown, match="upgrade"):
        FeaturePacket.parse(altered(KEY, 0, 2))


def test_changed_bytes_are_corrupt() -> None:
    with pytest.raises(PacketCorrupt):
        FeaturePacket.parse(KEY.to_bytes()[:-1] + b"S")


def test_a_header_alone_has_an_empty_payload() -> None:
    with pytest.raises(PayloadEmpty):
        FeaturePacket.parse(with_crc(KEY.to_bytes()[:48]))


def test_a_packet_of_100_megabytes_is_too_large_before_anything_is_read_of_it() -> None:
    with pytest.raises(PacketError) as refused:
        FeaturePacket.parse(bytes(100_000_000))
    assert refused.type is PacketTooLarge


def test_the_largest_packet_passes_and_one_byte_more_does_not() -> None:
    largest = replace(KEY, payload=bytes(MAX_PACKET_BYTES - HEADER_BYTES))
    assert FeaturePacket.parse(largest.to_bytes()) == largest
    with pytest.raises(PacketTooLarge):
        replace(largest, payload=largest.payload + b"\0").to_bytes()


def test_the_largest_claimed_shape_is_beyond_the_limits() -> None:
    data = bytearray(KEY.to_bytes())
    data[32:36] = b"\xff\xff\xff\xff"
    with pytest.raises(ShapeBeyondLimits):
        FeaturePacket.parse(with_crc(data))


@pytest.mark.parametrize("flag", [0x02, 0x04, 0x08])
def test_reserved_flag_bits_are_refused(flag: int) -> None:
    with pytest.raises(FieldInvalid, match="reserved"):
        FeaturePacket.parse(altered(KEY, 1, flag))


@pytest.mark.parametrize(
    ("offset", "value", "says"),
    [
        (3, 1, "names no reference"),
        (36, 1, "names no reference"),
        (1, 1, "reference distance"),
        (1, 0x10, "cipher suite 1 with key id 0"),
        (2, 1, "cipher suite 0 with key id 1"),
    ],
)
def test_a_key_packet_with_a_field_that_contradicts_another_is_refused(offset: int, value: int, says: str) -> None:
    with pytest.raises(FieldInvalid, match=says):
        FeaturePacket.parse(altered(KEY, offset, value))


def test_a_reference_before_the_epoch_is_refused_by_both_ends() -> None:
    early = replace(PREDICTED, sequence=254, reference_distance=255)
    with pytest.raises(FieldInvalid, match="before the epoch"):
        early.to_bytes()
    with pytest.raises(FieldInvalid, match="before the epoch"):
        FeaturePacket.parse(altered(replace(early, sequence=255), 20, 254))


@pytest.mark.parametrize(
    "packet",
    [
        replace(KEY, epoch=1 << 64),
        replace(KEY, sequence=-1),
        replace(KEY, capture_ms=1 << 48),
        replace(KEY, capture_ms=-1),
        replace(KEY, level=256),
        replace(KEY, cut=256),
        replace(KEY, own_digest=1 << 32),
        replace(KEY, shape=LatentShape(1025, 1, 1)),
        replace(KEY, shape=LatentShape(1, 0, 1)),
        replace(KEY, cipher=16, key_id=1),
        replace(KEY, cipher=1, key_id=256),
        replace(PREDICTED, reference_distance=256),
    ],
)
def test_a_field_out_of_its_range_cannot_be_sent(packet: FeaturePacket) -> None:
    with pytest.raises(FieldInvalid):
        packet.to_bytes()


def test_what_a_receiver_would_refuse_cannot_be_sent() -> None:
    with pytest.raises(PayloadEmpty):
        replace(KEY, payload=b"").to_bytes()
    with pytest.raises(ShapeBeyondLimits):
        replace(KEY, shape=LatentShape(1024, 2048, 2048)).to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        bytes(100_000_000),
        with_crc(KEY.to_bytes()[:32] + b"\xff\xff\xff\xff" + KEY.to_bytes()[36:]),
        KEY.to_bytes()[:-1],
    ],
    ids=["100 MB", "shape of 4 Gi symbols", "cut off"],
)
def test_a_refusal_allocates_next_to_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PacketError):
            FeaturePacket.parse(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 100_000


def test_identities_sort_by_boot_and_then_by_sequence() -> None:
    assert sorted([FrameIdentity(2, 0), FrameIdentity(1, 9), FrameIdentity(1, 3)]) == [
        FrameIdentity(1, 3),
        FrameIdentity(1, 9),
        FrameIdentity(2, 0),
    ]


def test_every_refusal_has_a_reason_of_its_own() -> None:
    pending, reasons = [FrameRefused], []
    while pending:
        refusal = pending.pop()
        pending += refusal.__subclasses__()
        reasons.append(refusal.reason)
    assert len(reasons) == len(set(reasons)) > 20
