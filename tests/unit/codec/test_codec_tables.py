"""Tables: their invariants, their file, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import CodingTables, count_tables, remember
from narrows.contract.codec.counting import Moments
from narrows.contract.codec.tables import LevelTables
from narrows.contract.errors import BundleError, FieldInvalid
from tests.unit.codec.codec_samples import arbitrary_tables, moments, smooth_planes, tables_of

SHAPE = (5, 12, 10)


@given(st.lists(st.floats(0.05, 40), min_size=1, max_size=3), st.integers(1, 64), st.booleans())
@settings(max_examples=15, deadline=None)
def test_counted_tables_are_whole_and_within_the_limits(spreads: list[float], most: int, predicted: bool) -> None:  # noqa: FBT001
    symbols = [smooth_planes(3, SHAPE, spread, i) for i, spread in enumerate(spreads)]
    tables = count_tables(symbols, [moments(s, s) for s in symbols] if predicted else None, max_tables=most)
    assert (tables.levels, tables.channels, tables.predicted) == (len(spreads), 5, predicted)
    for level in tables.by_level:
        assert 1 <= len(level.frequencies) <= most
        for table in level.frequencies:
            assert table.sum(dtype=np.int64) == 65536
            assert table.min() >= 1
            assert 2 <= len(table) <= 255


@given(tables_of)
@settings(max_examples=60, deadline=None)
def test_a_file_is_read_as_it_was_written(tables: CodingTables) -> None:
    data = tables.to_bytes()
    again = CodingTables.from_bytes(data)
    assert again.to_bytes() == data
    assert (again.levels, again.channels, again.predicted) == (tables.levels, tables.channels, tables.predicted)
    for one, other in zip(tables.by_level, again.by_level, strict=True):
        assert _comparable(one) == _comparable(other)


def _comparable(level: LevelTables) -> tuple[object, ...]:
    contexts = [
        None if c is None else (c.magnitude_weights.tolist(), c.sign_weights.tolist(), c.parents, c.lookup.tolist())
        for c in (level.key, level.predicted)
    ]
    return level.channels.tolist(), contexts, [f.tolist() for f in level.frequencies]


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    for begun in (data, b"NRWT\1" + data):
        try:
            tables = CodingTables.from_bytes(begun)
        except BundleError:
            continue
        assert tables.to_bytes() == begun


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_altered_files_are_tables_or_refused(seed: int, changes: list[tuple[int, int]]) -> None:
    data = bytearray(arbitrary_tables(seed, 4).to_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    try:
        tables = CodingTables.from_bytes(bytes(data))
    except BundleError:
        return
    assert tables.to_bytes() == bytes(data)


@given(st.integers(0, 50), st.integers(0, 2**20))
@settings(max_examples=100, deadline=None)
def test_a_cut_or_lengthened_file_is_refused(seed: int, at: int) -> None:
    data = arbitrary_tables(seed, 4).to_bytes()
    for wrong in (data[: at % len(data)], data + b"\0"):
        with pytest.raises(BundleError):
            CodingTables.from_bytes(wrong)


def test_live_and_silence_agree() -> None:
    planes = smooth_planes(4, SHAPE, 2.0, 1)
    planes[:, [1, 3]] = 0
    tables = count_tables([planes])
    assert tables.live(0).tolist() == [True, False, True, False, True]
    loud = np.full(SHAPE, 9, dtype=np.int8)
    assert tables.silence(loud, 0).any(axis=(1, 2)).tolist() == [True, False, True, False, True]


def test_levels_and_shapes_beyond_the_tables_are_named() -> None:
    tables = arbitrary_tables(1, 3)
    for wrong in (-1, 2):
        with pytest.raises(FieldInvalid):
            tables.live(wrong)
    with pytest.raises(FieldInvalid):
        tables.silence(np.zeros((4, 2, 2), dtype=np.int8), 0)


def test_training_symbols_that_cannot_be_counted_are_named() -> None:
    planes = smooth_planes(2, SHAPE, 1.0, 1)
    misuses: list[tuple[Any, Any, int]] = [
        ([], None, 64),
        ([planes], None, 0),
        ([planes], None, 65),
        ([planes.astype(np.int16)], None, 64),
        ([planes[0]], None, 64),
        ([planes, planes[:, :4]], None, 64),
        ([planes], [moments(planes, planes)] * 2, 64),
        ([planes], [moments(planes[:, :4], planes[:, :4])], 64),
        ([planes], [Moments(planes, remember(planes[:1]))], 64),
        ([planes], [Moments(planes, planes.astype(np.int32))], 64),
    ]
    for symbols, some, most in misuses:
        with pytest.raises(FieldInvalid):
            count_tables(symbols, some, max_tables=most)
