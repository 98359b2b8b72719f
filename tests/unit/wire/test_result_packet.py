"""ResultPacket: what stands where a mask packet stands, of a frame without a label map."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.client.subscription import parse_entry
from narrows.client.subscription.describe import describe
from narrows.contract.errors import RecordError
from narrows.contract.outputs import Output, OutputValue
from narrows.contract.wire import FrameIdentity, MaskPacket, ResultPacket, Timings
from narrows.contract.wire.output_packet import OutputPacket
from narrows.contract.wire.result import is_result

RESULT = ResultPacket(
    bundle_id=0x0102030405060708,
    identity=FrameIdentity(7, 9),
    capture_ms=1_700_000_000_000,
    level=2,
    cut=1,
    feature_bytes=1234,
    timings=Timings(10, 20, 30, 40, 50),
)
GOLDEN = bytes.fromhex(
    "02020100 0807060504030201 0700000000000000 09000000 0068e5cf8b01 0000 d2040000"
    "0a000000 14000000 1e000000 28000000 32000000"
)
SCORES = OutputPacket(
    OutputValue(Output("scores", "scores", "float32", (3,), "raw"), np.array([0.25, 2, 1], np.float32)), "0" * 16
)
HEAT = OutputPacket(
    OutputValue(
        Output("heat", "heatmaps", "float32", (1, 2, 2), "planes-deflate"), np.array([[[0, 0.5], [1, 0]]], np.float32)
    ),
    "1" * 16,
)


def test_the_bytes_are_those_of_the_document() -> None:
    assert RESULT.to_bytes() == GOLDEN + zlib.crc32(GOLDEN).to_bytes(4, "little")
    assert ResultPacket.parse(RESULT.to_bytes()) == RESULT


@given(
    st.builds(
        ResultPacket,
        bundle_id=st.integers(0, 2**64 - 1),
        identity=st.builds(FrameIdentity, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)),
        capture_ms=st.integers(0, 2**48 - 1),
        level=st.integers(0, 255),
        cut=st.integers(0, 255),
        feature_bytes=st.integers(0, 2**32 - 1),
        timings=st.builds(Timings, *[st.integers(0, 2**32 - 1)] * 5),
    )
)
def test_any_result_survives_its_bytes(result: ResultPacket) -> None:
    assert ResultPacket.parse(result.to_bytes()) == result
    assert is_result(result.to_bytes())


@given(st.binary(max_size=80))
def test_whatever_the_bytes_a_result_or_a_named_error(data: bytes) -> None:
    try:
        ResultPacket.parse(data)
    except RecordError:
        return
    pytest.fail("a CRC of chance")


@pytest.mark.parametrize(
    ("at", "message"), [(0, "schema version"), (3, "reserved"), (30, "reserved"), (20, "changed on the way")]
)
def test_bytes_that_are_no_result_are_refused_by_name(at: int, message: str) -> None:
    data = bytearray(RESULT.to_bytes())
    data[at] ^= 1
    if message == "reserved":
        data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    with pytest.raises(RecordError, match=message):
        ResultPacket.parse(bytes(data))
    with pytest.raises(RecordError, match="of 59 bytes; it has 60"):
        ResultPacket.parse(RESULT.to_bytes()[:-1])


def test_a_field_out_of_its_range_is_refused() -> None:
    with pytest.raises(RecordError, match="out of its range"):
        replace(RESULT, cut=256).to_bytes()


def test_a_reader_of_masks_alone_names_the_version() -> None:
    with pytest.raises(RecordError, match="upgrade"):
        MaskPacket.parse(RESULT.to_bytes() + bytes(40))


def test_an_entry_is_a_result_with_its_outputs_typed() -> None:
    fields = {b"k": b"mask", b"p": RESULT.to_bytes(), **{each.field: each.to_bytes() for each in (SCORES, HEAT)}}
    found = parse_entry(fields)
    assert isinstance(found, ResultPacket)
    scores, heat = found.output("scores"), found.output("heat")
    assert scores is not None
    assert heat is not None
    np.testing.assert_array_equal(scores.values, SCORES.value.values)
    np.testing.assert_array_equal(heat.values, HEAT.value.values)
    assert found.output("labels") is None


def test_a_line_of_masks_tail_says_what_the_scores_and_maps_say() -> None:
    line = describe(replace(RESULT, further=(SCORES, HEAT)), ("cat", "dog"), received_ms=1_700_000_000_250)
    assert (line["kind"], line["cut"], line["level"], line["latency_ms"]) == ("result", 1, 2, 250)
    assert line["outputs"][0] == {
        "name": "scores", "kind": "scores", "version": "0" * 16, "scores": [0.25, 2.0, 1.0], "best": "dog", "score": 2.0
    }  # fmt: skip
    assert line["outputs"][1]["shape"] == [1, 2, 2]
    assert line["outputs"][1]["greatest"] == [1.0]
