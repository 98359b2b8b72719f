"""Test pictures without a camera."""

from __future__ import annotations

from contextlib import closing
from threading import Event

import numpy as np
import pytest

from edge_client.capture.sources import is_live, open_source
from edge_client.capture.sources.kinds.pattern import draw
from narrows.contract.errors import SourceError


def test_the_pattern_moves_to_the_left_and_has_every_colour() -> None:
    now, later = draw(320, 160, 0), draw(320, 160, 4)
    assert now.shape == (160, 320, 3)
    assert now.dtype == np.uint8
    assert np.array_equal(later[:, :-4], now[:, 4:])
    assert len({tuple(pixel > 0) for pixel in now.reshape(-1, 3)}) == 8


@pytest.mark.parametrize(("text", "shape"), [("pattern:", (480, 640, 3)), ("pattern:64x48", (48, 64, 3))])
def test_it_is_a_camera_that_gives_one_picture_after_the_other(text: str, shape: tuple[int, ...]) -> None:
    assert is_live(text)
    with closing(open_source(text, loop=False, stop=Event(), frames_per_s=100.0)) as source:
        frames = [source.read() for _ in range(2)]
    first, second = (frame.picture for frame in frames if frame is not None)
    assert first.shape == second.shape == shape
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("text", ["pattern:big", "pattern:1x1", "pattern:64x48x3", "pattern:99999x48"])
def test_a_size_that_is_none_is_named(text: str) -> None:
    with pytest.raises(SourceError, match="as pattern:640x480"):
        open_source(text, loop=False, stop=Event())
