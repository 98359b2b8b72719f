"""The picture and its outlines for whoever looks: of one frame, encoded seldom, and for nobody while nobody looks."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edge_client.site.view import SHORTEST_S, WATCHED_S, SiteView
from narrows.contract.outputs.objects import ObjectMask, Objects

PICTURE = np.zeros((240, 320, 3), np.uint8)
MASK = np.zeros((16, 16), bool)
MASK[4:12, 4:12] = True
OUTLINED = Objects(320, 240, 16, (ObjectMask(3, 7, 100, 100, 64, MASK),))


class Site:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.view = SiteView(lambda: self.now_s)


def test_nothing_is_kept_or_encoded_while_nobody_looks() -> None:
    site = Site()
    site.view.show(PICTURE, OUTLINED, 1000)
    assert not site.view.watched
    assert site.view.newest() is None  # from this question on somebody looks
    site.view.show(PICTURE, OUTLINED, 1001)
    assert site.view.newest() is not None
    site.now_s += WATCHED_S
    assert not site.view.watched
    site.view.show(PICTURE, OUTLINED, 1002)
    found = site.view.newest()
    assert found is not None
    assert found.capture_ms == 1001


def test_a_picture_and_its_outlines_are_of_one_frame_and_the_last_few_are_there() -> None:
    site = Site()
    site.view.newest()
    numbers = []
    for count in range(6):
        site.view.show(np.full_like(PICTURE, 40 * count), OUTLINED if count % 2 else None, count)
        found = site.view.newest()
        assert found is not None
        numbers.append(found.number)
        site.now_s += SHORTEST_S
    assert [site.view.at(number) is not None for number in numbers] == [False, False, True, True, True, True]
    last = site.view.at(numbers[-1])
    assert last is not None
    assert (last.width, last.height, last.objects) == (320, 240, (3,))
    with Image.open(io.BytesIO(last.picture)) as picture:  # noqa: TID251
        assert (picture.format, picture.size, round(np.asarray(picture).mean(), -1)) == ("JPEG", (320, 240), 200)
    with Image.open(io.BytesIO(last.outlines)) as outlines:  # noqa: TID251
        assert np.asarray(outlines).any()
    before = site.view.at(numbers[-2])
    assert before is not None
    assert (before.objects, before.outlines) == ((), b"")


def test_however_many_ask_a_frame_is_encoded_once_and_four_times_a_second_at_most() -> None:
    site = Site()
    site.view.newest()
    site.view.show(PICTURE, None, 1)
    first = site.view.newest()
    site.view.show(PICTURE, None, 2)
    assert all(site.view.newest() is first for _ in range(20))
    site.now_s += SHORTEST_S
    second = site.view.newest()
    assert second is not first
    assert site.view.newest() is second


@pytest.mark.parametrize("size", [(2160, 3840), (100, 4000), (1, 1)])
def test_a_large_picture_is_scaled_and_its_size_is_told_as_it_was_filmed(size: tuple[int, int]) -> None:
    site = Site()
    site.view.newest()
    site.view.show(np.zeros((*size, 3), np.uint8), None, 1)
    found = site.view.newest()
    assert found is not None
    assert (found.height, found.width) == size
    with Image.open(io.BytesIO(found.picture)) as picture:  # noqa: TID251
        assert max(picture.size) <= 960
