"""OutputPacket v1: what a subscriber reads of a frame's further outputs, whatever stands in Redis."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.client.subscription import parse_entry
from narrows.contract.errors import RecordError
from narrows.contract.outputs import Output, OutputValue
from narrows.contract.outputs.labels import labels_output
from narrows.contract.wire import FrameIdentity, MaskPacket
from narrows.contract.wire.mask import class_areas
from narrows.contract.wire.output_packet import OutputPacket

SCORES = Output("weather", "scores", "float32", (2,), "raw", ("0", "1"))
WEATHER = OutputPacket(OutputValue(SCORES, np.array([0.25, 0.75], np.float32)), "0123456789abcdef")
GOLDEN = bytes.fromhex("01010500000102 00efcdab8967452301020000000000803e0000403f".replace(" ", ""))
LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def mask() -> MaskPacket:
    return MaskPacket(7, FrameIdentity(1, 2), 3, 0, 50, LABELS, class_areas(LABELS, 5))


def test_the_bytes_are_those_of_the_specification() -> None:
    assert WEATHER.field == b"o:weather"
    assert WEATHER.to_bytes() == sealed(GOLDEN)


def test_a_label_map_comes_back_with_its_version() -> None:
    names = tuple(map(str, range(5)))
    there = OutputPacket(OutputValue(labels_output(3, 4, names), LABELS), "00000000000000ff")
    back = OutputPacket.parse(b"o:labels", there.to_bytes())
    assert (back.version, back.value.output) == (there.version, there.value.output)
    np.testing.assert_array_equal(back.value.values, LABELS)


def test_a_frames_outputs_are_had_by_name() -> None:
    fields = {b"k": b"mask", b"p": mask().to_bytes(), WEATHER.field: WEATHER.to_bytes()}
    found = parse_entry(fields)
    assert isinstance(found, MaskPacket)
    assert [each.output.name for each in found.outputs] == ["labels", "weather"]
    weather = found.output("weather")
    assert weather is not None
    np.testing.assert_array_equal(weather.values, [0.25, 0.75])
    assert found.output("snow") is None


def test_an_output_that_cannot_be_read_costs_itself_alone() -> None:
    newer = sealed(b"\x09" + GOLDEN[1:])
    fields = {
        b"k": b"mask",
        b"p": mask().to_bytes(),
        b"o:depth": newer,
        WEATHER.field: WEATHER.to_bytes(),
        b"x": b"something else",
    }
    found = parse_entry(fields)
    assert isinstance(found, MaskPacket)
    assert [each.output.name for each in found.outputs] == ["labels", "weather"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: b"\x02" + body[1:], "schema version 2"),
        (lambda body: body[:1] + b"\x07" + body[2:], "kind 7"),
        (lambda body: body[:2] + b"\x09" + body[3:], "dtype 9"),
        (lambda body: body[:2] + b"\x00" + body[3:], "dtype 'uint8'"),
        (lambda body: body[:3] + b"\x01" + body[4:], "packing 1"),
        (lambda body: body[:5] + b"\x00" + body[6:], "0 dimensions"),
        (lambda body: body[:5] + b"\x04" + body[6:], "dimensions"),
        (lambda body: body[:16] + struct.pack("<I", 0) + body[20:], "none of no length"),
        (lambda body: body[:16] + struct.pack("<I", 1 << 31) + body[20:], "at most"),
        (lambda body: body[:-4], "has 4 bytes"),
        (lambda body: body[:-4] + struct.pack("<f", float("nan")), "no finite number"),
    ],
)
def test_what_makes_no_sense_is_named(change: Callable[[bytes], bytes], words: str) -> None:
    with pytest.raises(RecordError, match=words):
        OutputPacket.parse(b"o:weather", sealed(change(GOLDEN)))


@pytest.mark.parametrize("field", [b"o:", b"o:Weather", b"weather", b"o:\xff", b"o:" + b"a" * 65])
def test_a_field_that_is_no_name_is_refused(field: bytes) -> None:
    with pytest.raises(RecordError, match="no name of an output's field"):
        OutputPacket.parse(field, WEATHER.to_bytes())


def test_bytes_changed_on_the_way_are_noticed() -> None:
    data = bytearray(WEATHER.to_bytes())
    data[18] ^= 1
    with pytest.raises(RecordError, match="CRC-32"):
        OutputPacket.parse(b"o:weather", bytes(data))


@given(st.binary(max_size=200), st.booleans())
def test_whatever_the_bytes_a_packet_or_a_named_error(body: bytes, begins_well: bool) -> None:  # noqa: FBT001
    data = sealed(GOLDEN[:16] + body if begins_well else body)
    try:
        OutputPacket.parse(b"o:weather", data)
    except RecordError:
        return
    assert len(body) == 12
