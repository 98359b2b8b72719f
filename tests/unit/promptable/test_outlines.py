"""What is laid over a frame: the edges of its things, and nothing of the rest."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from narrows.contract.outputs.objects import ObjectMask, Objects
from narrows.runtime.prompting.outlines import paint_outlines


@pytest.mark.parametrize(("width", "height"), [(64, 64), (1280, 1280)])
def test_the_edge_of_a_thing_is_drawn_its_inside_and_what_is_beside_it_are_transparent(width: int, height: int) -> None:
    there = ObjectMask(1, 7, width // 4, height // 4, width // 2, np.ones((16, 16), bool))
    lost = ObjectMask(2, 7, 0, 0, width, None)
    with Image.open(io.BytesIO(paint_outlines(Objects(width, height, 16, (there, lost))))) as image:  # noqa: TID251
        seen = np.asarray(image.convert("RGBA"))[..., 3] > 0
    side = min(width, 640)
    assert seen.shape == (side, side)
    expected = np.zeros((side, side), bool)
    expected[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = True
    expected[side // 4 + 2 : 3 * side // 4 - 2, side // 4 + 2 : 3 * side // 4 - 2] = False
    assert np.array_equal(seen, expected)


def test_a_thing_at_the_pictures_edge_is_closed_there() -> None:
    whole = ObjectMask(1, 7, -10, -10, 84, np.ones((16, 16), bool))
    with Image.open(io.BytesIO(paint_outlines(Objects(64, 48, 16, (whole,))))) as image:  # noqa: TID251
        seen = np.asarray(image.convert("RGBA"))[..., 3] > 0
    assert seen[[0, -1]].all()
    assert seen[:, [0, -1]].all()
    assert not seen[2:-2, 2:-2].any()
