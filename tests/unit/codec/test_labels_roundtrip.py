"""Whatever the label map, it comes back; and the kernel codes as the specification says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import decode_labels, encode_labels, general_label_tables
from narrows.contract.codec.label_counting import count_label_tables
from narrows.contract.codec.label_tables import LabelTables
from narrows.contract.errors import FieldInvalid, ShapeBeyondLimits
from tests.unit.codec.label_reference import decode
from tests.unit.codec.label_samples import Labels, arbitrary_label_tables, noise, scene


@st.composite
def maps(draw: st.DrawFn, most_pixels: int = 3000) -> tuple[Labels, int]:
    """Scenes, noise, stripes and one label; any shape, 2 to 255 labels."""
    height = draw(st.integers(1, 60))
    width = draw(st.integers(1, min(400, most_pixels // height)))
    many, seed = draw(st.integers(2, 255)), draw(st.integers(0, 2**32))
    shape = (height, width)
    kind = draw(st.sampled_from(["scene", "noise", "few", "stripes", "one"]))
    if kind == "scene":
        return scene(seed, shape, many), many
    if kind == "noise":
        return noise(seed, shape, many), many
    if kind == "few":
        return (noise(seed, shape, 40) == 0).astype(np.uint8) * np.uint8(many - 1), many
    if kind == "stripes":
        return (np.add.outer(np.arange(height), np.arange(width) // 3) % many).astype(np.uint8), many
    return np.full(shape, seed % many, dtype=np.uint8), many


@given(maps(), st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_a_map_comes_back_with_any_tables(given_map: tuple[Labels, int], seed: int, sets: int) -> None:
    labels, many = given_map
    tables = arbitrary_label_tables(seed, sets)
    assert np.array_equal(decode_labels(encode_labels(labels, many, tables), labels.shape, many, tables), labels)


@given(maps(most_pixels=600), st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_the_specification_decodes_what_the_kernel_codes(given_map: tuple[Labels, int], seed: int, sets: int) -> None:
    labels, many = given_map
    tables = arbitrary_label_tables(seed, sets)
    assert np.array_equal(decode(encode_labels(labels, many, tables), labels.shape, many, tables), labels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 8192), (8192, 1), (2, 3), (300, 700)])
@pytest.mark.parametrize("many", [2, 11, 255])
def test_any_shape_comes_back_with_the_general_tables(shape: tuple[int, int], many: int) -> None:
    tables = general_label_tables()
    for labels in (scene(1, shape, many), noise(2, shape, many)):
        assert np.array_equal(decode_labels(encode_labels(labels, many, tables), shape, many, tables), labels)


def test_a_view_codes_as_its_copy() -> None:
    tables, wide = general_label_tables(), scene(3, (40, 60), 9)
    assert encode_labels(wide[::2, ::3], 9, tables) == encode_labels(wide[::2, ::3].copy(), 9, tables)


def test_a_map_of_one_label_is_a_few_dozen_bytes() -> None:
    assert len(encode_labels(np.full((360, 480), 7, dtype=np.uint8), 11, general_label_tables())) <= 40


def test_a_scene_is_small_and_noise_is_not_much_larger_than_it_is() -> None:
    tables, shape = general_label_tables(), (120, 160)
    assert 8 * len(encode_labels(scene(4, shape, 11), 11, tables)) < 0.15 * 120 * 160
    for many, most in ((2, 2.2), (11, 5.5), (255, 12)):
        assert 8 * len(encode_labels(noise(5, shape, many), many, tables)) < most * 120 * 160


def test_tables_counted_on_a_kind_of_map_code_it_smaller() -> None:
    counted = count_label_tables([[scene(seed, (60, 80), 6) for seed in range(40)]], 6)
    others = [scene(seed, (60, 80), 6) for seed in range(100, 120)]
    ours, general = (sum(len(encode_labels(m, 6, t)) for m in others) for t in (counted, general_label_tables()))
    assert ours < 0.9 * general


def test_the_encoder_takes_the_set_that_makes_a_map_smallest() -> None:
    tables = arbitrary_label_tables(6, 8)
    for seed in range(8):
        labels = scene(seed, (30, 40), 5)
        alone = [len(encode_labels(labels, 5, LabelTables((each,)))) for each in tables.sets]
        assert abs(len(encode_labels(labels, 5, tables)) - min(alone)) <= 2


def test_threads_share_tables() -> None:
    tables = general_label_tables()
    kinds = [scene(seed, (90, 120), 8) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        back = list(pool.map(lambda m: decode_labels(encode_labels(m, 8, tables), m.shape, 8, tables), kinds))
    assert all(np.array_equal(one, other) for one, other in zip(back, kinds, strict=True))


def test_what_is_no_map_of_so_many_labels_is_refused() -> None:
    tables = general_label_tables()
    with pytest.raises(FieldInvalid, match="with label 4; it is to have 4"):
        encode_labels(np.full((2, 2), 4, dtype=np.uint8), 4, tables)
    with pytest.raises(FieldInvalid, match="uint8 of"):
        encode_labels(np.zeros((2, 2), dtype=np.int32), 4, tables)
    with pytest.raises(FieldInvalid, match="uint8 of"):
        encode_labels(np.zeros((2, 2, 2), dtype=np.uint8), 4, tables)
    for many in (1, 256):
        with pytest.raises(FieldInvalid, match="2 to 255"):
            encode_labels(np.zeros((2, 2), dtype=np.uint8), many, tables)
    for shape in ((0, 3), (1, 8193), (8192, 2049)):
        with pytest.raises(ShapeBeyondLimits, match="sides are 1 to 8192"):
            encode_labels(np.broadcast_to(np.uint8(0), shape), 4, tables)


@pytest.mark.parametrize("broken_at", [None, 0, 100, 254, 255, 256, 511])
def test_the_specification_agrees_on_the_longest_runs(broken_at: int | None) -> None:
    tables = arbitrary_label_tables(7, 1)
    labels = np.zeros((1, 600), dtype=np.uint8)
    if broken_at is not None:
        labels[0, broken_at] = 3
    payload = encode_labels(labels, 5, tables)
    for back in (decode, decode_labels):
        assert np.array_equal(back(payload, labels.shape, 5, tables), labels)
