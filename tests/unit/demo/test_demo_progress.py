"""What a demo without a table says of its progress."""

from narrows.ops.demo.options import DemoOptions
from narrows.ops.demo.play import progress_line


def test_a_bounded_demo_says_of_how_many_and_how_long_it_takes() -> None:
    assert DemoOptions(frames=60, streams=3).frames_in_all == 180
    assert progress_line(100, 90, 180, 30.0) == "100 of 180 sent, 90 masks; about 30 s left"
    assert progress_line(4, 0, 180, 5.0) == "4 of 180 sent, 0 masks"


def test_an_endless_demo_says_how_it_ends() -> None:
    assert DemoOptions().frames_in_all is None
    assert progress_line(7, 6, None, 5.0) == "7 sent, 6 masks; Ctrl-C ends"
