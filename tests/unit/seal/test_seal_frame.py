"""A sealed packet of format 2 opens to what was sealed; its whole header is authentic, though little of it travels."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.errors import FieldInvalid, FrameRefused, PacketError, PacketTooLarge, SealBroken, SealUnsupported
from narrows.contract.seal import CameraKey, open_frame, seal_frame
from narrows.contract.wire.feature import MAX_PACKET_BYTES
from narrows.contract.wire.frame_packet import Envelope, FrameHead, FramePacket, PacketContext, Section
from tests.unit.seal import seal_reference
from tests.unit.seal.test_seal_suite import KEY, RING, vector
from tests.unit.wire.frame_packet_strategies import frames
from tests.unit.wire.test_wire_frame_document import KEY as OPEN_KEY
from tests.unit.wire.test_wire_frame_document import ONE
from tests.unit.wire.test_wire_frame_document import PREDICTED as OPEN_PREDICTED

CONTEXT = dataclasses.replace(ONE, cipher=1, key_id=9)


def of_the_key(frame: FramePacket) -> FramePacket:
    return replace(frame, head=replace(frame.head, context=dataclasses.replace(frame.head.context, cipher=1, key_id=9)))


def opened(data: bytes, kept: PacketContext | None, key: CameraKey = KEY) -> FramePacket:
    envelope = Envelope.parse(data)
    return open_frame(envelope.head(kept), envelope.rest, key)


def sealed_frames() -> st.SearchStrategy[FramePacket]:
    return frames(sealed=True).map(of_the_key)


@pytest.mark.parametrize(("name", "packet"), [("frame-key", OPEN_KEY), ("frame-predicted", OPEN_PREDICTED)])
def test_a_sealed_vector_is_written_and_opened_as_the_page_says(name: str, packet: FramePacket) -> None:
    assert seal_frame(of_the_key(packet), KEY) == vector(f"seal-of-{name}")
    assert opened(vector(f"seal-of-{name}"), CONTEXT) == of_the_key(packet)


@given(frame=sealed_frames())
def test_an_implementation_from_the_page_alone_makes_the_same_bytes(frame: FramePacket) -> None:
    short, context = frame.head.short()[:9], frame.head.context.encoded
    assert seal_frame(frame, KEY) == seal_reference.seal_frame(short, context, frame.body(), KEY.secret)


@given(frame=sealed_frames())
def test_what_was_sealed_opens_to_itself_and_the_tag_takes_the_crc_s_place(frame: FramePacket) -> None:
    data = seal_frame(frame, KEY)
    unsealed = replace(
        frame, head=replace(frame.head, context=dataclasses.replace(frame.head.context, cipher=0, key_id=0))
    )
    assert len(data) == len(unsealed.to_bytes()) - 4 + 16
    assert opened(data, frame.head.context) == frame


@given(frame=sealed_frames(), bit=st.integers(0, 1 << 20))
def test_no_bit_that_travels_can_be_changed(frame: FramePacket, bit: int) -> None:
    data = bytearray(seal_frame(frame, KEY))
    bit %= 8 * len(data)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameRefused):
        opened(bytes(data), frame.head.context)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": ONE.epoch + 1},
        {"sequence": ONE.sequence + 1},
        {"capture_ms": ONE.capture_ms + 1},
        {"bundle_id": 1},
        {"cut": 1},
        {"source_width": 1921},
        {"orientation": 1},
        {"sections": (replace(ONE.sections[0], level=3),)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_nothing_of_the_context_that_does_not_travel_can_be_changed(changes: dict[str, Any]) -> None:
    """Even where another context stood under the same id: the tag covers it, and the nonce is the whole identity."""
    envelope = Envelope.parse(vector("seal-of-frame-predicted"))
    head = envelope.head(CONTEXT)
    other = dataclasses.replace(CONTEXT, **changes)
    object.__setattr__(other, "id", CONTEXT.id)
    with pytest.raises(SealBroken):
        open_frame(replace(head, context=other), envelope.rest, KEY)


def test_another_stream_s_key_opens_nothing() -> None:
    with pytest.raises(SealBroken, match="cam-2"):
        opened(vector("seal-of-frame-predicted"), CONTEXT, RING.derive("cam-2", 9))


@pytest.mark.parametrize("size", [0, 1, 15])
def test_less_than_a_tag_is_broken(size: int) -> None:
    with pytest.raises(SealBroken):
        open_frame(of_the_key(OPEN_KEY).head, bytes(size), KEY)


@pytest.mark.parametrize("cipher", [0, 2, 15])
def test_another_suite_is_refused_by_name(cipher: int) -> None:
    context = dataclasses.replace(ONE, cipher=cipher, key_id=9 if cipher else 0)
    with pytest.raises(SealUnsupported):
        open_frame(FrameHead(context, 7, ONE.capture_ms), bytes(40), KEY)


def test_an_authentic_body_that_is_malformed_is_refused_as_such() -> None:
    head = of_the_key(OPEN_PREDICTED).head
    data = seal_reference.seal_frame(head.short(), head.context.encoded, b"\1", KEY.secret)
    with pytest.raises(PacketError):
        opened(data, CONTEXT)


def test_a_packet_is_sealed_for_the_key_that_its_context_names_and_no_larger_than_any() -> None:
    with pytest.raises(FieldInvalid, match="the key is 9"):
        seal_frame(OPEN_KEY, KEY)
    fits = MAX_PACKET_BYTES - 9 - 3 - 16
    assert seal_frame(of_the_key(replace(OPEN_PREDICTED, sections=(Section(0, bytes(fits)),))), KEY)
    with pytest.raises(PacketTooLarge):
        seal_frame(of_the_key(replace(OPEN_PREDICTED, sections=(Section(0, bytes(fits + 1)),))), KEY)
