"""Each mask is held against the labels of its own frame, however far a decoder runs ahead."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from narrows.models.dataset import ClassList, LabelledPicture
from narrows.models.evaluation.score import Segment, name_scores, score

CLASSES = ClassList(("road", "sky", "pole"), 255, (4, 3), ((0, 0, 0),) * 3)


def one_by_one(packets: Iterable[bytes]) -> Iterator[NDArray[np.uint8]]:
    return (np.full((3, 4), packet[0], np.uint8) for packet in packets)


def all_at_once(packets: Iterable[bytes]) -> Iterator[NDArray[np.uint8]]:
    return iter(list(one_by_one(packets)))


@pytest.mark.parametrize("segment", [one_by_one, all_at_once])
def test_a_frame_is_judged_by_its_own_labels_and_whole_packets_count(segment: Segment) -> None:
    samples = [
        LabelledPicture(str(label), np.full((3, 4, 3), label, np.uint8), np.full((3, 4), label, np.uint8))
        for label in (0, 1, 1, 1)
    ]
    encode: Callable[[NDArray[np.uint8]], bytes] = lambda picture: bytes([picture[0, 0, 0]]) * 6  # noqa: E731
    matrix, bits_per_pixel, frames = score(samples, CLASSES, encode, segment)
    assert (matrix.miou, bits_per_pixel, frames) == (1.0, 8 * 6 / 12, 4)
    assert name_scores(matrix, CLASSES) == {"road": 1.0, "sky": 1.0, "pole": None}


def test_a_mask_goes_back_to_the_size_of_the_picture_that_it_is_of() -> None:
    labels = np.zeros((6, 8), np.uint8)
    labels[:, 4:] = 1
    sample = LabelledPicture("large", np.zeros((6, 8, 3), np.uint8), labels)
    mask = np.array([[0, 0, 1, 1]] * 3, np.uint8)
    matrix, bits_per_pixel, _ = score([sample], CLASSES, lambda _: bytes(6), lambda packets: (mask for _ in packets))
    assert (matrix.miou, bits_per_pixel) == (1.0, 8 * 6 / 48)
