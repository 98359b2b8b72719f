"""GrabCut is asked for what is in a box."""

import numpy as np

from narrows.models.promptable.evaluation.grabcut import grab
from narrows.runtime.prompting import Box
from tests.unit.promptable.things import disc


def test_a_bright_disc_in_a_box_is_cut_out_better_than_by_filling_the_box() -> None:
    mask = disc(60, 50, 24, 128, 96)
    noise = np.random.default_rng(0).integers(0, 40, (96, 128, 3))
    picture = (noise + np.where(mask, 200, 20)[..., None]).astype(np.uint8)
    found = grab(picture, Box(34, 24, 52, 52))
    assert (found & mask).sum() / (found | mask).sum() > 0.9


def test_where_nothing_is_found_the_box_is_the_answer() -> None:
    found = grab(np.full((60, 60, 3), 90, np.uint8), Box(20, 10, 20, 20))
    assert found[12:28, 22:38].all()
    assert not found[40:].any()
