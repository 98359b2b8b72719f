"""Planes that are decoded together come to what each comes to alone, whatever is beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import (
    CodedPlane,
    CodingTables,
    DecodedPlane,
    count_tables,
    decode_planes,
    decode_symbols,
    encode_symbols,
    kernel,
    symbol_digest,
)
from narrows.contract.errors import FieldInvalid, FrameRefused, PayloadUndecodable
from tests.unit.codec.codec_samples import arbitrary_tables, moments, smooth_planes

SHAPE = (4, 9, 14)
Answer = DecodedPlane | FrameRefused


def alone(plane: CodedPlane) -> Answer:
    try:
        symbols = decode_symbols(plane.payload, plane.shape, plane.tables, plane.level, plane.memory)
        return DecodedPlane(symbols, symbol_digest(symbols))
    except FrameRefused as refusal:
        return refusal


def same(found: Answer, expected: Answer) -> bool:
    if isinstance(expected, FrameRefused):
        return type(found) is type(expected) and str(found) == str(expected)
    if isinstance(found, FrameRefused):
        return False
    return np.array_equal(found.symbols, expected.symbols) and found.digest == expected.digest


@pytest.fixture(scope="module")
def tables() -> CodingTables:
    symbols = [smooth_planes(16, SHAPE, spread, 1) for spread in (1.5, 0.6)]
    return count_tables(symbols, [moments(each, np.roll(each, 1, axis=3)) for each in symbols])


@pytest.fixture(scope="module")
def payloads(tables: CodingTables) -> list[bytes]:
    return [encode_symbols(tables.silence(plane, 0), tables, 0) for plane in smooth_planes(12, SHAPE, 1.5, 2)]


@given(st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.integers(0, 3), st.binary(max_size=40)), max_size=9))
@settings(max_examples=200, deadline=None)
def test_any_bytes_of_any_tables_come_to_what_each_comes_to_alone(
    drawn: list[tuple[int, bool, int, bytes]],
) -> None:
    """Two tables, two levels, K and P, four shapes, and payloads that are valid, cut, or anything."""
    both = [arbitrary_tables(seed, 2) for seed in (5, 11)]
    given = []
    for which, predicted, shape, payload in drawn:
        size = (2, 3 + shape % 2, 4 + shape // 2)
        memory = np.full(size, -21, np.int16) if predicted else None
        symbols = np.resize(np.frombuffer(payload, np.int8), size) if payload else np.zeros(size, np.int8)
        level = len(payload) % 2
        valid = encode_symbols(both[which].silence(np.maximum(symbols, -127), level), both[which], level, memory)
        sent = (valid, valid[: len(valid) - shape], payload, valid)[shape]
        given.append(CodedPlane(sent, size, both[which], level, memory))
    found = decode_planes(given)
    assert len(found) == len(given)
    assert all(same(each, alone(plane)) for each, plane in zip(found, given, strict=True))


def test_wherever_one_of_two_breaks_off_the_other_is_whole(tables: CodingTables, payloads: list[bytes]) -> None:
    """A shorter payload runs out at another symbol each time, in the first or in the second of the pair."""
    whole, broken = payloads[0], payloads[1]
    expected = alone(CodedPlane(whole, SHAPE, tables, 0))
    for size in range(len(broken)):
        for place in (0, 1):
            sent = [whole, whole]
            sent[place] = broken[:size]
            found = decode_planes([CodedPlane(payload, SHAPE, tables, 0) for payload in sent])
            assert isinstance(found[place], PayloadUndecodable)
            assert same(found[1 - place], expected), (size, place)


def test_both_of_two_break_off_by_their_own_names(tables: CodingTables, payloads: list[bytes]) -> None:
    sent = [payloads[0][:9], payloads[1][:14], payloads[2], payloads[3] + b"\0\0", b""]
    found = decode_planes([CodedPlane(payload, SHAPE, tables, 0) for payload in sent])
    for payload, answer in zip(sent, found, strict=True):
        assert same(answer, alone(CodedPlane(payload, SHAPE, tables, 0)))
    assert [isinstance(each, PayloadUndecodable) for each in found] == [True, True, False, True, True]


def test_what_does_not_fit_its_tables_is_refused_alone(tables: CodingTables, payloads: list[bytes]) -> None:
    good = CodedPlane(payloads[0], SHAPE, tables, 0)
    level, shape = CodedPlane(payloads[0], SHAPE, tables, 7), CodedPlane(payloads[0], (5, 9, 14), tables, 0)
    memory = CodedPlane(payloads[0], SHAPE, tables, 0, np.zeros((4, 9, 13), np.int16))
    found = decode_planes([level, good, shape, good, memory])
    assert [type(each) for each in found] == [FieldInvalid, DecodedPlane, FieldInvalid, DecodedPlane, FieldInvalid]
    assert all(same(found[place], alone(good)) for place in (1, 3))


def test_a_processor_that_is_slow_at_digests_has_the_same(
    tables: CodingTables, payloads: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "_crc32_is_fast", lambda: False)
    given = [CodedPlane(payload, SHAPE, tables, 0) for payload in payloads[:3]]
    assert all(same(each, alone(plane)) for each, plane in zip(decode_planes(given), given, strict=True))


def test_nothing_is_decoded_to_nothing() -> None:
    assert decode_planes([]) == []
