"""Whatever the payload: a label map, or a named error."""

from __future__ import annotations

import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import decode_labels, encode_labels, general_label_tables
from narrows.contract.codec.label_tables import LabelTables, LabelTableSet
from narrows.contract.errors import FieldInvalid, PayloadUndecodable, ShapeBeyondLimits
from tests.unit.codec.label_reference import decode
from tests.unit.codec.label_samples import arbitrary_label_tables, scene

SHAPE, MANY = (24, 37), 7
TABLES = general_label_tables()
PAYLOADS = [encode_labels(scene(seed, SHAPE, MANY), MANY, TABLES) for seed in range(12)]


@given(st.integers(0, 2**32), st.binary(max_size=80), st.integers(2, 255))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_decode_as_the_specification_says(seed: int, payload: bytes, many: int) -> None:
    tables = arbitrary_label_tables(seed, 7)
    shape = (3, 11)
    try:
        expected = decode(payload, shape, many, tables)
    except PayloadUndecodable:
        with pytest.raises(PayloadUndecodable):
            decode_labels(payload, shape, many, tables)
    else:
        assert np.array_equal(decode_labels(payload, shape, many, tables), expected)


def test_a_truncated_payload_is_refused() -> None:
    for payload in PAYLOADS:
        for size in range(len(payload)):
            with pytest.raises(PayloadUndecodable):
                decode_labels(payload[:size], SHAPE, MANY, TABLES)


def test_an_extended_payload_is_refused() -> None:
    for payload in PAYLOADS:
        for tail in (b"\0", b"\1", b"\0\0", b"ab", b"abc", payload):
            with pytest.raises(PayloadUndecodable):
                decode_labels(payload + tail, SHAPE, MANY, TABLES)


def test_a_changed_payload_gives_labels_of_the_map_or_is_refused() -> None:
    chance, refused = np.random.default_rng(3), 0
    for payload in PAYLOADS * 20:
        changed = bytearray(payload)
        changed[chance.integers(len(changed))] ^= 1 << chance.integers(8)
        try:
            decoded = decode_labels(bytes(changed), SHAPE, MANY, TABLES)
        except PayloadUndecodable:
            refused += 1
        else:
            assert decoded.max() < MANY
    assert refused > 0.99 * 20 * len(PAYLOADS)


def test_a_payload_for_another_shape_is_refused() -> None:
    for payload in PAYLOADS:
        for shape in ((37, 24), (24, 36), (25, 37)):
            with pytest.raises(PayloadUndecodable):
                decode_labels(payload, shape, MANY, TABLES)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "ran out of bytes"),
        (b"\0\0\0\0", "began or ended in the wrong state"),
        (b"\xff\xff\xff\xff", "names a set that these tables lack"),
    ],
)
def test_the_refusal_says_why(payload: bytes, words: str) -> None:
    with pytest.raises(PayloadUndecodable, match=f"for shape .* {words}"):
        decode_labels(payload, SHAPE, MANY, TABLES)


def test_a_decode_bomb_is_refused_before_anything_is_allocated() -> None:
    """A few bytes that claim 8192 x 2048 pixels of one label, where the caller wants small maps."""
    bomb = encode_labels(np.zeros((8192, 2048), dtype=np.uint8), MANY, TABLES)
    assert len(bomb) < 400
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for shape in ((8192, 2048), (1 << 30, 1 << 30), (8193, 1), (1, 0), (-1, 5)):
        with pytest.raises(ShapeBeyondLimits):
            decode_labels(bomb, shape, MANY, TABLES, max_pixels=480 * 360)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 1000
    for many in (0, 1, 256, 1 << 31):
        with pytest.raises(FieldInvalid, match="2 to 255"):
            decode_labels(bomb, SHAPE, many, TABLES)


def test_a_run_that_its_own_label_breaks_is_refused() -> None:
    """Tables in which nearly every run breaks, with rank 0 at the break: the label that the run had."""
    (only,) = arbitrary_label_tables(5, 1).sets
    frequencies, leaves = only.frequencies.copy(), len(only.depths)
    frequencies[leaves] = [65529, 1, 1, 1, 1, 1, 1, 1]
    frequencies[leaves + 1 : leaves + 10, :2] = [1, 65535]
    tables = LabelTables((LabelTableSet(only.depths, frequencies),))
    payload = (1 << 24 | 5000).to_bytes(4, "little") + bytes(range(1, 60)) + b"\0"
    with pytest.raises(PayloadUndecodable, match="a run that its own label breaks"):
        decode(payload, SHAPE, MANY, tables)
    with pytest.raises(PayloadUndecodable, match="met a rank that no neighbour's label has"):
        decode_labels(payload, SHAPE, MANY, tables)
