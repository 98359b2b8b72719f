"""Stills set in motion."""

from __future__ import annotations

import numpy as np

from narrows.models.export.motion import VIEWS, displaced, displacement, moving, with_noise

PICTURE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_the_same_seed_makes_the_same_clips() -> None:
    once, again = (list(moving([PICTURE] * 4, seed=3)) for _ in range(2))
    assert [len(clip) for clip in once] == [VIEWS] * 4
    for one, other in zip(once, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        assert all(view.shape == PICTURE.shape and view.dtype == np.uint8 for view in one)


def test_a_clip_begins_at_its_picture_give_or_take_the_noise() -> None:
    for index, (first, *_) in enumerate(moving([PICTURE] * 8, seed=4)):
        scene = PICTURE[:, ::-1] if index % 2 else PICTURE
        assert np.abs(first.astype(int) - scene).mean() < 4


def test_whole_pixels_of_displacement_shift_the_picture() -> None:
    field = np.zeros((2, 40, 60), dtype=np.float32)
    field[0], field[1] = 3, -2
    assert np.array_equal(displaced(PICTURE, field)[3:, :-2], PICTURE[:-3, 2:])


def test_some_cameras_stand_still_and_some_do_not() -> None:
    generator = np.random.default_rng(5)
    still = [np.median(np.abs(displacement(40, 60, generator))) == 0 for _ in range(40)]
    assert 10 < sum(still) < 40


def test_without_noise_a_picture_stays_what_it_is() -> None:
    assert np.array_equal(with_noise(PICTURE, 0.0, np.random.default_rng(6)), PICTURE)
