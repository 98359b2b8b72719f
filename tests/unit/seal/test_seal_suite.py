"""A sealed packet opens to what was sealed, under its own key alone, and a changed bit anywhere is seen."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from narrows.contract.errors import PacketError, SealBroken, SealUnsupported
from narrows.contract.seal import CameraKey, Keyring, Root, open_packet, seal_packet
from narrows.contract.wire import FeaturePacket
from tests.unit.seal import seal_reference
from tests.unit.wire.wire_strategies import packets

PAGE = (Path(__file__).parents[3] / "docs" / "wire-format.md").read_text()
ROOT = Root(9, 0, None, bytes(range(32)))
RING = Keyring({9: ROOT})
KEY = RING.derive("cam-1", 9)


def vector(name: str) -> bytes:
    found = re.search(rf"```hex vector={name}\n(.*?)\n```", PAGE, re.DOTALL)
    assert found is not None
    return bytes.fromhex(found[1])


def open_packets() -> st.SearchStrategy[FeaturePacket]:
    return packets().map(lambda packet: structs.replace(packet, cipher=0, key_id=0))


def test_the_key_on_the_page_is_derived_so() -> None:
    assert KEY.secret == vector("seal-key") == seal_reference.camera_key(ROOT.secret, 9, "cam-1")


@pytest.mark.parametrize("name", ["key", "predicted"])
def test_a_sealed_vector_is_written_and_opened_as_the_page_says(name: str) -> None:
    packet = FeaturePacket.parse(vector(name))
    sealed = vector(f"seal-of-{name}")
    assert seal_packet(packet, KEY).to_bytes() == sealed
    assert open_packet(FeaturePacket.parse(sealed), KEY) == packet


@given(packet=open_packets())
def test_an_implementation_from_the_page_alone_makes_the_same_bytes(packet: FeaturePacket) -> None:
    assert seal_packet(packet, KEY).to_bytes() == seal_reference.seal(packet.to_bytes(), KEY.secret, 9)


@given(packet=open_packets())
def test_what_was_sealed_opens_to_itself_and_costs_16_bytes(packet: FeaturePacket) -> None:
    data = seal_packet(packet, KEY).to_bytes()
    assert len(data) == len(packet.to_bytes()) + 16
    assert open_packet(FeaturePacket.parse(data), KEY) == packet


@given(packet=open_packets(), bit=st.integers(0, 8 * 500))
def test_no_bit_of_header_or_payload_can_be_changed(packet: FeaturePacket, bit: int) -> None:
    sealed = seal_packet(packet, KEY)
    covered = bytearray(sealed.associated_data() + sealed.payload)
    bit %= 8 * len(covered)
    covered[bit // 8] ^= 1 << bit % 8
    try:
        altered = FeaturePacket.parse(with_crc(bytes(covered)))
    except PacketError:
        return  # it is no packet any more
    with pytest.raises((SealBroken, SealUnsupported)):
        open_packet(altered, KEY)


def with_crc(covered: bytes) -> bytes:
    return covered[:44] + struct.pack("<I", zlib.crc32(covered)) + covered[44:]


@pytest.mark.parametrize(
    "other",
    [RING.derive("cam-2", 9), Keyring({8: replace(ROOT, key_id=8)}).derive("cam-1", 8), replace(KEY, secret=bytes(64))],
    ids=["another stream's", "another id of the same root", "another"],
)
def test_another_key_opens_nothing(other: CameraKey) -> None:
    sealed = seal_packet(FeaturePacket.parse(vector("key")), KEY)
    with pytest.raises(SealBroken, match="tag"):
        open_packet(sealed, other)


def test_a_payload_of_a_tag_alone_is_refused() -> None:
    sealed = seal_packet(FeaturePacket.parse(vector("key")), KEY)
    with pytest.raises(SealBroken):
        open_packet(structs.replace(sealed, payload=sealed.payload[-16:]), KEY)


def test_a_suite_that_is_not_assigned_is_refused_by_name() -> None:
    sealed = seal_packet(FeaturePacket.parse(vector("key")), KEY)
    with pytest.raises(SealUnsupported, match="suite 2"):
        open_packet(structs.replace(sealed, cipher=2), KEY)


def test_equal_frames_have_different_headers_and_a_reference_still_matches() -> None:
    first = FeaturePacket.parse(vector("key"))
    second = structs.replace(first, sequence=8)
    predicted = FeaturePacket.parse(vector("predicted"))
    sealed = [seal_packet(packet, KEY) for packet in (first, second, predicted)]
    assert sealed[0].own_digest != sealed[1].own_digest
    assert sealed[2].reference_digest == sealed[0].own_digest != first.own_digest
    assert sealed[0].payload[:-16] != sealed[1].payload[:-16]


def test_a_key_is_never_shown() -> None:
    for shown in (repr(KEY), str(KEY), repr(ROOT), repr(RING)):
        assert KEY.secret.hex()[:16] not in shown
        assert "\\x" not in shown
        assert "secret" not in shown
