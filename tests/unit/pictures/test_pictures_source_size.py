"""A mask's way back: each source pixel has the label that its centre lies on, and no label is made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import narrows
from edge_client.encode.encoder import fitted

SIDES = st.integers(1, 60)


def test_a_map_of_twice_the_size_repeats_each_label() -> None:
    labels = np.array([[1, 2], [3, 4]], np.uint8)
    assert narrows.labels_at_source_size(labels, 4, 4).tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]


@pytest.mark.parametrize(("size", "expected"), [(2, [2, 4]), (3, [1, 3, 4]), (5, [1, 2, 3, 3, 4]), (1, [3])])
def test_a_pixel_has_the_label_under_its_centre(size: int, expected: list[int]) -> None:
    row = np.array([[1, 2, 3, 4]], np.uint8)
    assert narrows.labels_at_source_size(row, size, 1).tolist() == [expected]
    assert narrows.labels_at_source_size(row.T, 1, size).T.tolist() == [expected]


def test_the_aspect_that_the_encoder_squeezed_is_given_back() -> None:
    labels = np.array([[1, 2, 3]], np.uint8)
    assert narrows.labels_at_source_size(labels, 6, 2).tolist() == [[1, 1, 2, 2, 3, 3]] * 2


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_no_label_comes_out_that_did_not_go_in(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    full = narrows.labels_at_source_size(labels, width, height)
    assert full.shape == (height, width)
    assert full.dtype == np.uint8
    assert set(np.unique(full)) <= set(np.unique(labels))
    if height >= rows and width >= columns:
        assert set(np.unique(full)) == set(np.unique(labels))


@given(SIDES, SIDES)
def test_at_its_own_size_a_map_is_itself(height: int, width: int) -> None:
    labels = np.random.default_rng(1).integers(0, 256, (height, width), dtype=np.uint8)
    assert np.array_equal(narrows.labels_at_source_size(labels, width, height), labels)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (333, 517), (64, 48)])
def test_things_land_where_the_encoders_scaling_took_them_from(width: int, height: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 3, width // 2 :] = 255
    labels = (fitted(picture, 480, 360)[..., 0] > 127).astype(np.uint8)
    full = narrows.labels_at_source_size(labels, width, height)
    beside = np.abs(np.diff(full.astype(int), axis=1)).any(), np.abs(np.diff(full.astype(int), axis=0)).any()
    assert all(beside)
    differs = full != (picture[..., 0] > 127)
    assert differs.mean() < 2 * (1 / 360 + 1 / 480)


@pytest.mark.parametrize(("shape", "width", "height"), [((2, 2), 0, 5), ((2, 2), 5, -1), ((0, 2), 5, 5), ((2,), 5, 5)])
def test_what_has_no_pixels_is_refused(shape: tuple[int, ...], width: int, height: int) -> None:
    with pytest.raises(ValueError, match="a pixel at least"):
        narrows.labels_at_source_size(np.zeros(shape, np.uint8), width, height)
