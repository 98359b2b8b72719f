"""MaskPacket: label maps come back to the pixel, and no bytes make a reader fall over or inflate without bound."""

from __future__ import annotations

import itertools
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.codec import general_label_tables
from narrows.contract.errors import LabelTablesMissing, RecordError
from narrows.contract.outputs.labels.small import behind_id, pack_small
from narrows.contract.wire import FrameIdentity, MaskPacket, Timings
from narrows.contract.wire.mask import MAX_MASK_BYTES, SMALL, class_areas, label_tables_of, seal_mask
from tests.unit.wire.wire_strategies import masks, mutated

LABELS = np.array([[0, 0, 1], [0, 2, 1]], dtype=np.uint8)
MASK = MaskPacket(1, FrameIdentity(2, 3), 4, 0, 99, LABELS, class_areas(LABELS, 3), Timings(1, 2, 3, 4, 5))


SMALL_LABELS = pack_small(LABELS, 3, general_label_tables())


def equal(one: MaskPacket, other: MaskPacket) -> bool:
    plain = ("bundle_id", "identity", "capture_ms", "level", "feature_bytes", "timings")
    same = all(getattr(one, name) == getattr(other, name) for name in plain)
    return same and np.array_equal(one.labels, other.labels) and np.array_equal(one.areas, other.areas)


def with_crc(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def altered(offset: int, value: bytes) -> bytes:
    body = bytearray(MASK.to_bytes()[:-4])
    body[offset : offset + len(value)] = value
    return with_crc(bytes(body))


def repacked(packing: int, payload: bytes) -> bytes:
    """The header and areas of ``MASK`` around another payload."""
    head = bytearray(MASK.to_bytes()[: 60 + 12])
    head[1] = packing
    return with_crc(bytes(head) + payload)


@pytest.mark.parametrize("classes", [1, 11, 32, 33, 255])
def test_areas_are_the_pixels_of_each_class_however_many_there_are(classes: int) -> None:
    labels = np.random.default_rng(classes).integers(0, classes, (37, 53)).astype(np.uint8)
    assert class_areas(labels, classes).tolist() == [int((labels == label).sum()) for label in range(classes)]


@given(masks())
def test_a_mask_comes_back_from_its_bytes(mask: MaskPacket) -> None:
    assert equal(MaskPacket.parse(mask.to_bytes()), mask)


def small(mask: MaskPacket) -> bytes:
    return seal_mask(mask, pack_small(mask.labels, len(mask.areas), general_label_tables()), SMALL)


@given(masks())
def test_a_small_mask_comes_back_from_its_bytes(mask: MaskPacket) -> None:
    data = small(mask)
    assert equal(MaskPacket.parse(data), mask)
    assert label_tables_of(data) == general_label_tables().id
    assert label_tables_of(mask.to_bytes()) is None


@given(st.data())
def test_a_mutated_small_mask_with_a_right_crc_gives_a_mask_or_a_named_error(data: st.DataObject) -> None:
    changed = with_crc(data.draw(mutated(small(data.draw(masks()))[:-4])))
    label_tables_of(changed)
    try:
        mask = MaskPacket.parse(changed)
    except RecordError:
        return
    assert int(mask.labels.max()) < len(mask.areas)


@given(st.binary(max_size=90))
def test_the_tables_of_arbitrary_bytes_are_an_id_or_none(data: bytes) -> None:
    for given_bytes in (data, b"\x01\x02" + data):
        found = label_tables_of(given_bytes)
        assert found is None or 0 <= found < 1 << 64


def test_a_small_mask_of_other_tables_is_an_error_that_says_where_they_are() -> None:
    packed = behind_id(5, SMALL_LABELS[8:])
    with pytest.raises(LabelTablesMissing, match=r"0000000000000005.*narrows\.subscribe, which asks Redis"):
        MaskPacket.parse(repacked(2, packed))


@given(masks())
def test_areas_count_every_pixel_once(mask: MaskPacket) -> None:
    assert int(mask.areas.sum()) == mask.labels.size


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        MaskPacket.parse(data)


@given(st.binary(min_size=60, max_size=300))
def test_arbitrary_bytes_with_a_right_crc_give_a_mask_or_a_named_error(data: bytes) -> None:
    try:
        mask = MaskPacket.parse(with_crc(b"\x01" + data))
    except RecordError:
        return
    assert equal(MaskPacket.parse(mask.to_bytes()), mask)


@given(st.data())
def test_a_mutated_mask_is_itself_or_refused(data: st.DataObject) -> None:
    mask = data.draw(masks())
    changed = data.draw(mutated(mask.to_bytes()))
    if changed == mask.to_bytes():
        assert equal(MaskPacket.parse(changed), mask)
        return
    with pytest.raises(RecordError):
        MaskPacket.parse(changed)


@given(st.data())
def test_a_mutated_mask_with_a_right_crc_gives_a_mask_or_a_named_error(data: st.DataObject) -> None:
    changed = data.draw(mutated(data.draw(masks()).to_bytes()[:-4]))
    try:
        mask = MaskPacket.parse(with_crc(changed))
    except RecordError:
        return
    assert mask.labels.ndim == 2
    assert int(mask.labels.max()) < len(mask.areas)


def test_raw_labels_are_read_as_they_stand() -> None:
    assert np.array_equal(MaskPacket.parse(repacked(0, LABELS.tobytes())).labels, LABELS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "shorter than its header"),
        (MASK.to_bytes()[:63], "shorter than its header"),
        (altered(0, b"\x02"), "upgrade"),
        (MASK.to_bytes()[:-1] + b"\0", "CRC"),
        (altered(34, b"\x01\0"), "reserved"),
        (altered(30, b"\0\0"), "0 x 3"),
        (altered(30, b"\x01\x20"), "sides are 1 to 8192"),
        (altered(30, b"\0\x20\0\x20"), "pixels at most"),
        (altered(2, b"\xff"), "no room for 255 areas"),
        (with_crc(MASK.to_bytes()[:1] + b"\0\0" + MASK.to_bytes()[3:60] + bytes(6)), "names 0 classes"),
        (repacked(3, b""), "packing 3"),
        (repacked(2, b""), "id of its label tables"),
        (repacked(2, SMALL_LABELS[:7]), "id of its label tables"),
        (repacked(2, SMALL_LABELS[:8]), "ran out of bytes|wrong state"),
        (repacked(2, SMALL_LABELS[:-2]), "ran out of bytes|wrong state"),
        (repacked(2, SMALL_LABELS + b"\0\0"), "left bytes over"),
        (repacked(0, b"\0" * 5), "unpacked to 5 bytes"),
        (repacked(0, b"\0" * 7), "unpacked to 7 bytes"),
        (repacked(0, b"\0\0\0\0\0\x03"), "label 3"),
        (repacked(1, b""), "does not end"),
        (repacked(1, b"\xff\xff"), "broken"),
        (repacked(1, zlib.compress(bytes(6), wbits=-15) + b"x"), "does not end"),
        (repacked(1, zlib.compress(bytes(5), wbits=-15)), "unpacked to 5 bytes"),
        (repacked(1, zlib.compress(bytes(7), wbits=-15)), "unpacked to 7 bytes"),
    ],
    ids=itertools.count(),
)
def test_what_is_wrong_with_a_mask_is_said(data: bytes, says: str) -> None:
    with pytest.raises(RecordError, match=says):
        MaskPacket.parse(data)


@pytest.mark.parametrize(
    "data",
    [
        repacked(1, zlib.compress(bytes(50_000_000), wbits=-15)),
        altered(30, b"\0\x10\0\x10"),
        bytes(MAX_MASK_BYTES + 1),
    ],
    ids=["deflate bomb", "16 Mi pixels claimed", "beyond the limit"],
)
def test_a_refusal_allocates_no_more_than_the_packet_brings(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RecordError):
            MaskPacket.parse(data)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 200_000


@pytest.mark.parametrize("span_us", [-5, 1 << 40])
def test_a_span_out_of_range_is_capped_rather_than_lost(span_us: int) -> None:
    mask = MaskPacket.parse(replace(MASK, timings=Timings(span_us, 0, 0, 0, 0)).to_bytes())
    assert mask.timings.redis_us == (0 if span_us < 0 else (1 << 32) - 1)


@pytest.mark.parametrize(
    "mask",
    [
        replace(MASK, feature_bytes=1 << 32),
        replace(MASK, capture_ms=1 << 48),
        replace(MASK, labels=np.zeros((8193, 1), np.uint8)),
        replace(MASK, areas=np.zeros(256, np.uint32)),
    ],
)
def test_a_field_out_of_its_range_cannot_be_published(mask: MaskPacket) -> None:
    with pytest.raises(RecordError):
        mask.to_bytes()
