"""A box that reaches beyond the picture means what of it lies in the picture."""

import pytest

from narrows.runtime.prompting import Box


@pytest.mark.parametrize(
    ("box", "within"),
    [
        (Box(10, 5, 20, 10), Box(10, 5, 20, 10)),
        (Box(-10, -5, 30, 15), Box(0, 0, 20, 10)),
        (Box(90, 70, 1e6, 1e6), Box(90, 70, 10, 10)),
        (Box(-1e6, -1e6, 2e6, 2e6), Box(0, 0, 100, 80)),
    ],
)
def test_what_of_a_box_lies_in_the_picture(box: Box, within: Box) -> None:
    assert box.within(100, 80) == within
