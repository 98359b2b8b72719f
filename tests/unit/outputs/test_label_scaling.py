"""Label maps at a part of their sides: what most pixels of a block are, at a size that is rounded up."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.outputs.labels.scaling import DIVISORS, divide_labels, divided_size


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(DIVISORS), st.integers(2, 7), st.integers(0, 99))
def test_a_pixel_is_what_most_of_its_block_are_and_the_lowest_of_equals(
    height: int, width: int, divisor: int, classes: int, seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, classes, (height, width)).astype(np.uint8)
    smaller = divide_labels(labels, divisor, classes)
    assert smaller.dtype == np.uint8
    assert smaller.shape == divided_size(height, width, divisor)
    for row, column in np.ndindex(smaller.shape):
        rows = np.minimum(np.arange(row * divisor, (row + 1) * divisor), height - 1)
        columns = np.minimum(np.arange(column * divisor, (column + 1) * divisor), width - 1)
        votes = Counter(labels[np.ix_(rows, columns)].reshape(-1).tolist())
        assert smaller[row, column] == min(votes, key=lambda label: (-votes[label], label))


@pytest.mark.parametrize(("divisor", "size"), [(1, (360, 480)), (2, (180, 240)), (4, (90, 120)), (8, (45, 60))])
def test_sides_are_divided(divisor: int, size: tuple[int, int]) -> None:
    assert divided_size(360, 480, divisor) == size


def test_a_size_that_does_not_divide_is_rounded_up() -> None:
    assert [divided_size(13, 9, divisor) for divisor in DIVISORS] == [(13, 9), (7, 5), (4, 3), (2, 2)]
