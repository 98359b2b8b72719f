"""Whatever the payload: a plane, or PayloadUndecodable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import CodingTables, count_tables, decode_symbols, encode_symbols
from narrows.contract.errors import PayloadUndecodable
from tests.unit.codec.codec_reference import decode
from tests.unit.codec.codec_samples import arbitrary_tables, moments, smooth_planes

SHAPE = (4, 9, 14)


@pytest.fixture(scope="module")
def tables() -> CodingTables:
    planes = smooth_planes(16, SHAPE, 1.5, 1)
    return count_tables([planes], [moments(planes, np.roll(planes, 1, axis=3))])


@pytest.fixture(scope="module")
def payloads(tables: CodingTables) -> list[bytes]:
    return [encode_symbols(tables.silence(plane, 0), tables, 0) for plane in smooth_planes(12, SHAPE, 1.5, 2)]


@given(st.integers(0, 2**32), st.binary(max_size=60), st.booleans())
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_decode_as_the_specification_says(seed: int, payload: bytes, predicted: bool) -> None:  # noqa: FBT001
    tables = arbitrary_tables(seed, 2)
    shape = (2, 3, 4)
    memory = np.full(shape, -21, dtype=np.int16) if predicted else None
    try:
        expected = decode(payload, shape, tables, 0, memory)
    except PayloadUndecodable:
        with pytest.raises(PayloadUndecodable):
            decode_symbols(payload, shape, tables, 0, memory)
    else:
        assert np.array_equal(decode_symbols(payload, shape, tables, 0, memory), expected)


def test_a_truncated_payload_is_refused(tables: CodingTables, payloads: list[bytes]) -> None:
    for payload in payloads:
        for size in range(len(payload)):
            with pytest.raises(PayloadUndecodable):
                decode_symbols(payload[:size], SHAPE, tables, 0)


def test_an_extended_payload_is_refused(tables: CodingTables, payloads: list[bytes]) -> None:
    for payload in payloads:
        for tail in (b"\0", b"\1", b"\0\0", b"ab", b"abc", payload):
            with pytest.raises(PayloadUndecodable):
                decode_symbols(payload + tail, SHAPE, tables, 0)


def test_a_changed_payload_gives_another_plane_or_is_refused(tables: CodingTables, payloads: list[bytes]) -> None:
    chance, refused = np.random.default_rng(3), 0
    for payload in payloads * 20:
        changed = bytearray(payload)
        changed[chance.integers(len(changed))] ^= 1 << chance.integers(8)
        try:
            decoded = decode_symbols(bytes(changed), SHAPE, tables, 0)
        except PayloadUndecodable:
            refused += 1
        else:
            assert encode_symbols(decoded, tables, 0) == bytes(changed)
    assert refused > 0.99 * 20 * len(payloads)


def test_a_payload_for_another_shape_or_level_is_refused(payloads: list[bytes]) -> None:
    planes = smooth_planes(16, SHAPE, 1.5, 1)
    two_levels = count_tables([planes, np.sign(planes)])
    payload = encode_symbols(two_levels.silence(planes[0], 0), two_levels, 0)
    for shape, level in (((4, 14, 9), 0), ((4, 9, 13), 0), (SHAPE, 1)):
        with pytest.raises(PayloadUndecodable):
            decode_symbols(payload, shape, two_levels, level)
