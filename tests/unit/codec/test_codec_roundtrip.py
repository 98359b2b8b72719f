"""What is encoded is decoded, by the kernel and by a second implementation, at the price that the tables name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import CodingTables, count_tables, decode_symbols, encode_symbols, ideal_bits, remember
from narrows.contract.errors import FieldInvalid, PayloadUndecodable
from tests.unit.codec.codec_reference import decode
from tests.unit.codec.codec_reference import remember as reference_remember
from tests.unit.codec.codec_samples import arbitrary_tables, moments, planes, remembered, smooth_planes, tables_of

SHAPE = (6, 23, 30)


@pytest.fixture(scope="module")
def counted() -> CodingTables:
    spreads = (2.0, 0.7, 0.3)
    symbols = [smooth_planes(24, SHAPE, spread, 1) for spread in spreads]
    some = [moments(planes, np.roll(planes, 1, axis=3)) for planes in symbols]
    return CodingTables.from_bytes(count_tables(symbols, some).to_bytes())


@given(tables_of, st.data())
@settings(max_examples=150, deadline=None)
def test_any_plane_survives_any_tables(tables: CodingTables, data: st.DataObject) -> None:
    level = data.draw(st.integers(0, tables.levels - 1))
    symbols = tables.silence(data.draw(planes(tables.channels)), level)
    payload = encode_symbols(symbols, tables, level)
    assert payload
    assert np.array_equal(decode_symbols(payload, symbols.shape, tables, level), symbols)


@given(st.integers(0, 2**32), st.data())
@settings(max_examples=150, deadline=None)
def test_any_plane_survives_given_any_memory(seed: int, data: st.DataObject) -> None:
    tables = arbitrary_tables(seed, 3)
    symbols = tables.silence(data.draw(planes(3)), 1)
    memory = np.random.default_rng(seed).integers(-1016, 1017, symbols.shape).astype(np.int16)
    payload = encode_symbols(symbols, tables, 1, memory)
    assert np.array_equal(decode_symbols(payload, symbols.shape, tables, 1, memory), symbols)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_second_implementation_remembers_the_same(seed: int) -> None:
    chance = np.random.default_rng(seed)
    memory, again = None, None
    for _ in range(4):
        symbols = chance.integers(-127, 128, (2, 3, 5)).astype(np.int8)
        memory, again = remember(symbols, memory), reference_remember(symbols, again)
        assert np.array_equal(memory, again)


def test_a_symbol_that_stays_is_remembered_exactly() -> None:
    for before, stays in ((-127, 127), (127, -127), (0, 1), (1, 0), (-3, -4)):
        memory = remember(np.full((1, 1, 1), before, dtype=np.int8))
        for _ in range(12):
            memory = remember(np.full((1, 1, 1), stays, dtype=np.int8), memory)
        assert memory.item() == 8 * stays


@given(st.integers(0, 2**32), st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_a_second_implementation_decodes_the_same(seed: int, predicted: bool, data: st.DataObject) -> None:  # noqa: FBT001
    tables = arbitrary_tables(seed, 3)
    symbols = tables.silence(data.draw(planes(3)), 0)
    memory = remembered(symbols, np.flip(symbols, 2)) if predicted else None
    payload = encode_symbols(symbols, tables, 0, memory)
    assert np.array_equal(decode(payload, symbols.shape, tables, 0, memory), symbols)


@pytest.mark.parametrize("width", [14, 15, 16, 17, 30, 31, 32])
def test_no_row_leaks_into_the_next_however_wide(width: int) -> None:
    tables = arbitrary_tables(11, 3)
    symbols = tables.silence(np.random.default_rng(width).integers(-127, 128, (3, 3, width)).astype(np.int8), 0)
    for memory in (None, remember(np.flip(symbols, 2))):
        payload = encode_symbols(symbols, tables, 0, memory)
        assert np.array_equal(decode(payload, symbols.shape, tables, 0, memory), symbols)
        assert np.array_equal(decode_symbols(payload, symbols.shape, tables, 0, memory), symbols)


@pytest.mark.parametrize("value", [-127, -126, 126, 127])
def test_the_extremes_pass_through_the_escape(value: int, counted: CodingTables) -> None:
    symbols = counted.silence(np.full(SHAPE, value, dtype=np.int8), 2)
    assert symbols.any()
    payload = encode_symbols(symbols, counted, 2)
    try:
        found = decode_symbols(payload, SHAPE, counted, 2)
    except PayloadUndecodable as error:
        pytest.fail(f"what was coded here is refused here: {error}")
    assert np.array_equal(found, symbols)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("as_predicted", [False, True])
def test_real_bytes_are_within_a_percent_and_eight_bytes_of_the_ideal(
    level: int,
    as_predicted: bool,  # noqa: FBT001
    counted: CodingTables,
) -> None:
    for symbols in smooth_planes(8, SHAPE, (2.0, 0.7, 0.3)[level], 2):
        plane = counted.silence(symbols, level)
        memory = remember(np.roll(plane, 1, axis=2)) if as_predicted else None
        size_bits = 8 * len(encode_symbols(plane, counted, level, memory))
        ideal = ideal_bits(plane, counted, level, memory)
        assert ideal - 1 <= size_bits <= 1.01 * ideal + 64


@given(tables_of, st.data())
@settings(max_examples=80, deadline=None)
def test_whatever_the_tables_the_ideal_is_kept(tables: CodingTables, data: st.DataObject) -> None:
    symbols = tables.silence(data.draw(planes(tables.channels)), 0)
    assert 8 * len(encode_symbols(symbols, tables, 0)) <= 1.01 * ideal_bits(symbols, tables, 0) + 64


def test_contexts_pay() -> None:
    training, fresh = (smooth_planes(40, SHAPE, 2.0, seed) for seed in (3, 4))
    tables = count_tables([training])
    spent = sum(ideal_bits(tables.silence(plane, 0), tables, 0) for plane in fresh)
    assert spent < 0.85 * _bits_with_one_table_a_channel(training, fresh)


def _bits_with_one_table_a_channel(training: np.ndarray, fresh: np.ndarray) -> float:
    bits = 0.0
    for channel in range(training.shape[1]):
        counts = np.bincount(training[:, channel].reshape(-1).astype(int) + 127, minlength=255) + 1e-3
        bits -= np.log2(counts / counts.sum())[fresh[:, channel].astype(int) + 127].sum()
    return bits


def test_a_memory_that_resembles_pays() -> None:
    symbols = smooth_planes(40, SHAPE, 1.0, 5)
    tables = count_tables([symbols], [moments(symbols, symbols)])
    as_key = sum(len(encode_symbols(plane, tables, 0)) for plane in symbols)
    as_predicted = sum(len(encode_symbols(plane, tables, 0, remember(plane))) for plane in symbols)
    assert as_predicted < 0.5 * as_key


def test_dead_channels_cost_nothing() -> None:
    symbols = smooth_planes(20, SHAPE, 1.0, 6)
    wide = np.zeros((20, 48, *SHAPE[1:]), dtype=np.int8)
    wide[:, 7:13] = symbols
    narrow_tables, wide_tables = count_tables([symbols]), count_tables([wide])
    assert wide_tables.live(0).sum() == narrow_tables.live(0).sum()
    for narrow_plane, wide_plane in zip(symbols, wide, strict=True):
        assert encode_symbols(wide_plane, wide_tables, 0) == encode_symbols(narrow_plane, narrow_tables, 0)


def test_a_wholly_dead_level_still_has_a_payload() -> None:
    silent = np.zeros((2, 4, 5, 6), dtype=np.int8)
    tables = count_tables([silent])
    payload = encode_symbols(silent[0], tables, 0)
    assert payload == (1 << 24).to_bytes(4, "little")
    assert not decode_symbols(payload, (4, 5, 6), tables, 0).any()


def test_silence_makes_what_was_unseen_in_training_codable() -> None:
    training = smooth_planes(4, SHAPE, 1.0, 7)
    training[:, 2] = 0
    tables = count_tables([training])
    surprise = training[0].copy()
    surprise[2] = 5
    with pytest.raises(FieldInvalid, match="silence"):
        encode_symbols(surprise, tables, 0)
    silenced = tables.silence(surprise, 0)
    assert surprise[2].all()
    assert np.array_equal(decode_symbols(encode_symbols(silenced, tables, 0), SHAPE, tables, 0), training[0])


def test_misuse_is_named(counted: CodingTables) -> None:
    plane = np.zeros(SHAPE, dtype=np.int8)
    key_only = arbitrary_tables(0, 6, predicted=False)
    misuses: list[tuple[Any, CodingTables, int, Any]] = [
        (plane, counted, 3, None),
        (plane, counted, -1, None),
        (plane[:5], counted, 0, None),
        (plane[0], counted, 0, None),
        (plane[:, :0], counted, 0, None),
        (plane.astype(np.int16), counted, 0, None),
        (plane, counted, 0, remember(plane)[:, 1:]),
        (plane, counted, 0, plane),
        (plane, key_only, 0, remember(plane)),
        (np.full(SHAPE, -128, dtype=np.int8), counted, 0, None),
    ]
    for symbols, tables, level, memory in misuses:
        with pytest.raises(FieldInvalid):
            encode_symbols(symbols, tables, level, memory)


def test_a_price_as_p_needs_tables_for_p() -> None:
    plane = np.zeros(SHAPE, dtype=np.int8)
    with pytest.raises(FieldInvalid, match="K packets only"):
        ideal_bits(plane, arbitrary_tables(0, 6, predicted=False), 0, remember(plane))


def test_a_plane_that_is_not_contiguous_is_coded_as_it_reads(counted: CodingTables) -> None:
    plane = smooth_planes(1, (6, 30, 23), 1.0, 8)[0].transpose(0, 2, 1)
    assert np.array_equal(decode_symbols(encode_symbols(plane, counted, 0), SHAPE, counted, 0), plane)


def test_a_wide_plane_is_coded() -> None:
    planes = smooth_planes(1, (2, 3, 2048), 1.0, 9)
    tables = count_tables([planes])
    payload = encode_symbols(planes[0], tables, 0)
    assert np.array_equal(decode_symbols(payload, (2, 3, 2048), tables, 0), planes[0])
    with pytest.raises(FieldInvalid, match="2048"):
        decode_symbols(payload, (2, 3, 2049), tables, 0)
