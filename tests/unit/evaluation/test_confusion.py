import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from narrows.contract.errors import DatasetError
from narrows.models.evaluation import ConfusionMatrix

maps = hnp.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 2))


def test_scores_of_a_matrix_worked_by_hand() -> None:
    matrix = ConfusionMatrix(classes=3, ignore_index=3)
    matrix.update(np.array([[0, 0, 1, 3]], np.uint8), np.array([[0, 1, 1, 0]], np.uint8))
    assert matrix.per_class_iou[:2].tolist() == [0.5, 0.5]
    assert np.isnan(matrix.per_class_iou[2])
    assert matrix.miou == 0.5
    assert matrix.pixel_accuracy == pytest.approx(2 / 3)


def test_a_class_that_no_label_has_is_left_out_of_the_mean_though_it_was_predicted() -> None:
    matrix = ConfusionMatrix(classes=3, ignore_index=3)
    matrix.update(np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 2, 1, 1]], np.uint8))
    assert matrix.per_class_iou[:2].tolist() == [0.5, 1.0]
    assert np.isnan(matrix.per_class_iou[2])
    assert matrix.miou == 0.75


def test_a_class_that_is_there_and_never_found_counts_as_nothing_found() -> None:
    matrix = ConfusionMatrix(classes=2, ignore_index=3)
    matrix.update(np.array([[0, 0, 1]], np.uint8), np.array([[0, 0, 0]], np.uint8))
    assert matrix.miou == pytest.approx((2 / 3 + 0) / 2)


@given(maps)
def test_a_perfect_mask_scores_one(labels: NDArray[np.uint8]) -> None:
    matrix = ConfusionMatrix(3, 9)
    matrix.update(labels, labels)
    assert matrix.miou == 1.0


@given(maps, st.integers(1, 4))
def test_one_matrix_over_a_split_is_the_sum_of_its_parts(labels: NDArray[np.uint8], shift: int) -> None:
    predicted = ((labels + shift) % 3).astype(np.uint8)
    whole, first, second = (ConfusionMatrix(3, 9) for _ in range(3))
    whole.update(labels, predicted)
    first.update(labels[:1], predicted[:1])
    second.update(labels[1:], predicted[1:])
    first.merge(second)
    assert (whole.counts == first.counts).all()


def test_an_unlabelled_picture_scores_nothing_rather_than_zero() -> None:
    matrix = ConfusionMatrix(2, 2)
    matrix.update(np.full((2, 2), 2, np.uint8), np.zeros((2, 2), np.uint8))
    assert np.isnan(matrix.miou)
    assert np.isnan(matrix.pixel_accuracy)


def test_maps_of_different_sizes_are_refused() -> None:
    with pytest.raises(DatasetError, match="same pixels"):
        ConfusionMatrix(2, 2).update(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


def test_a_predicted_class_beyond_the_list_is_refused() -> None:
    with pytest.raises(DatasetError, match="beyond the 2 classes"):
        ConfusionMatrix(2, 9).update(np.zeros((1, 1), np.uint8), np.full((1, 1), 2, np.uint8))
