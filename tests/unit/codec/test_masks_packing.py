"""The compiled packing of masks: any inflater reads it, areas are the labels', and it is no larger than zlib's."""

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from narrows.contract.codec.masks import LabelBeyondClasses, pack_and_count
from narrows.contract.outputs.labels.packing import pack_labels, unpack_labels
from tests.unit.codec.label_samples import scene


def regions(seed: int, height: int, width: int, classes: int, side: int) -> NDArray[np.uint8]:
    """Blocks of one label each, with single pixels of others."""
    chance = np.random.default_rng(seed)
    blocks = chance.integers(0, classes, (height // side + 1, width // side + 1)).astype(np.uint8)
    labels = np.repeat(np.repeat(blocks, side, 0), side, 1)[:height, :width].copy()
    dots = chance.random(labels.shape) < 0.01
    labels[dots] = chance.integers(0, classes, int(dots.sum()))
    return labels


@given(st.integers(0, 2**32), st.integers(1, 70), st.integers(1, 400), st.integers(1, 256), st.integers(1, 40))
def test_what_is_packed_unpacks_to_the_same_labels_and_areas_count_them(
    seed: int, height: int, width: int, classes: int, side: int
) -> None:
    labels = regions(seed, height, width, classes, side)
    packed, areas = pack_and_count(labels, classes)
    assert np.array_equal(unpack_labels(packed, height, width), labels)
    assert areas.tolist() == np.bincount(labels.reshape(-1), minlength=classes).tolist()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (3000, 1), (7, 31), (7, 32), (7, 33), (360, 480)])
def test_a_map_of_one_label_is_a_few_bytes(shape: tuple[int, int]) -> None:
    labels = np.full(shape, 3, np.uint8)
    packed, areas = pack_and_count(labels, 4)
    assert np.array_equal(unpack_labels(packed, *shape), labels)
    assert areas.tolist() == [0, 0, 0, labels.size]
    assert len(packed) < 200  # two bits for each 258 pixels, and a head


def test_codes_of_more_than_15_bits_are_shortened() -> None:
    """Counts as Fibonacci's make a Huffman code as deep as it has symbols; deflate takes 15 bits."""
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    values = np.concatenate([np.full(count, label, np.uint8) for label, count in enumerate(counts)])
    labels = np.random.default_rng(2).permutation(values)[np.newaxis]
    packed, _ = pack_and_count(np.ascontiguousarray(labels), 24)
    assert np.array_equal(unpack_labels(packed, *labels.shape), labels)
    assert zlib.decompress(packed, -15) == labels.tobytes()


@pytest.mark.parametrize("seed", range(8))
def test_it_is_no_larger_than_what_zlib_makes_of_the_same_runs(seed: int) -> None:
    labels = scene(seed, (180, 240), 11)
    assert len(pack_and_count(labels, 256)[0]) <= 1.01 * len(pack_labels(labels))


def test_noise_is_packed_within_the_room() -> None:
    labels = np.random.default_rng(5).integers(0, 256, (97, 101)).astype(np.uint8)
    packed, _ = pack_and_count(labels, 256)
    assert np.array_equal(unpack_labels(packed, 97, 101), labels)


@pytest.mark.parametrize("place", [(0, 0), (0, 8), (5, 3), (8, 8)])
def test_a_label_beyond_the_classes_is_refused_wherever_it_is(place: tuple[int, int]) -> None:
    labels = np.zeros((9, 9), np.uint8)
    labels[place] = 5
    with pytest.raises(LabelBeyondClasses, match="beyond its 5 classes"):
        pack_and_count(labels, 5)
    assert pack_and_count(labels, 6)[1].tolist() == [80, 0, 0, 0, 0, 1]


def test_what_the_kernel_could_not_read_is_refused() -> None:
    labels = np.zeros((8, 8), np.uint8)
    wide: Any = labels.astype(np.int32)
    for wrong in (labels[:, ::2], wide, labels[:0]):
        with pytest.raises(ValueError, match="cannot be packed"):
            pack_and_count(wrong, 2)
    with pytest.raises(ValueError, match="257 classes"):
        pack_and_count(labels, 257)
