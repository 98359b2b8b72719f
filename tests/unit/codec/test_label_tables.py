"""A label tables file is what its bytes say, or a named error; and the one that is shipped is small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import general_label_tables
from narrows.contract.codec.label_counting import count_label_tables
from narrows.contract.codec.label_tables import LabelTables
from narrows.contract.errors import BundleError, FieldInvalid
from tests.unit.codec.label_samples import arbitrary_label_tables, scene

ONE = arbitrary_label_tables(1, 1).to_bytes()


@given(st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_tables_survive_their_file(seed: int, sets: int) -> None:
    tables = arbitrary_label_tables(seed, sets)
    again = LabelTables.parse(tables.to_bytes())
    assert again.to_bytes() == tables.to_bytes()
    assert again.id == tables.id
    for one, other in zip(again.sets, tables.sets, strict=True):
        assert np.array_equal(one.depths, other.depths)
        assert np.array_equal(one.frequencies, other.frequencies)


@given(st.integers(0, len(ONE) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_changed_file_is_refused_or_means_what_it_says(at: int, flip: int) -> None:
    changed = bytearray(ONE)
    changed[at] ^= flip
    try:
        tables = LabelTables.parse(bytes(changed))
    except BundleError:
        return
    assert tables.to_bytes() == changed
    _ = tables.native


def test_a_file_that_ends_early_or_late_is_refused() -> None:
    for size in range(0, len(ONE), 7):
        with pytest.raises(BundleError):
            LabelTables.parse(ONE[:size])
    with pytest.raises(BundleError, match="a label tables file has 1 bytes behind its end"):
        LabelTables.parse(ONE + b"\0")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"NRWT\1\1", "begins with"),
        (b"NRWL\2\1", "begins with"),
        (b"NRWL\1\0", "0 sets"),
        (b"NRWL\1\x09", "9 sets"),
        (b"NRWL\1\1\0\0", "0 leaves"),
        (b"NRWL\1\1\1\x08", "2049 leaves"),
        (b"NRWL\1\1\1\0\x0f", "depth 15"),
        (b"NRWL\1\1\1\0\x01", "do not fill a tree"),
        (b"NRWL\1\1\3\0\x01\x01\x01", "do not fill a tree"),
        (b"NRWL\1\1\3\0\x02\x01\x02", "do not fill a tree"),
        (b"NRWL\1\1\1\0\0\2\1\0", "each is at least 1"),
        (b"NRWL\1\1\1\0\0\1", "each is at least 1"),
        (b"NRWL\1\1\1\0\0\6\xff\xff\2\0", "each is at least 1"),
        (b"NRWL\1\1\1\0\0" + bytes(3 + 36), "has a frequency of 0"),
    ],
)
def test_the_refusal_says_why(data: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        LabelTables.parse(data)


def test_the_general_tables_are_small_and_whole() -> None:
    tables = general_label_tables()
    assert len(tables.to_bytes()) < 50_000
    assert len(tables.sets) == 5
    assert tables is general_label_tables()


def test_the_id_is_the_hash_of_the_file() -> None:
    one, other = arbitrary_label_tables(1, 1), arbitrary_label_tables(2, 1)
    assert one.id == arbitrary_label_tables(1, 1).id != other.id
    assert 0 <= one.id < 1 << 64


def test_counting_gives_the_same_bytes_again_and_refuses_what_it_cannot_count() -> None:
    maps = [scene(seed, (30, 40), 5) for seed in range(6)]
    assert count_label_tables([maps], 5).to_bytes() == count_label_tables([iter(maps)], 5).to_bytes()
    for groups in ([], [maps] * 8):
        with pytest.raises(FieldInvalid, match="1 to 7"):
            count_label_tables(groups, 5)
    with pytest.raises(FieldInvalid, match="one map at least"):
        count_label_tables([maps, []], 5)
    with pytest.raises(FieldInvalid, match="label 4"):
        count_label_tables([maps], 4)
