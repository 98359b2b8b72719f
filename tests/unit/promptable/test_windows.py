"""A window is cut out and put back where it was; a prompt becomes maps in its pixels."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import PromptInvalid
from narrows.runtime.prompting import Box, Point, Prompt, Window
from narrows.runtime.prompting.framing import windows_of
from narrows.runtime.prompting.inputs import encode_input, prompt_maps
from narrows.runtime.prompting.parsing import parse_prompt
from narrows.runtime.prompting.window import box_of


def _ramp(width: int, height: int) -> np.ndarray:
    return np.tile(np.arange(width, dtype=np.uint8) * 2, (height, 1))


def test_a_window_of_its_own_size_is_those_pixels() -> None:
    picture = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30).astype(np.uint8)
    assert np.array_equal(Window(5, 3, 8).cut(picture, 8), picture[3:11, 5:13])


def test_what_is_beyond_the_picture_is_neutral() -> None:
    crop = Window(-4, -4, 8).cut(np.full((20, 30, 3), 200, np.uint8), 8)
    assert (crop[:4] == 127).all()
    assert (crop[4:, 4:] == 200).all()


def test_a_window_far_outside_is_neutral_throughout() -> None:
    assert (Window(100, 100, 8).cut(np.zeros((20, 30), np.uint8), 8) == 127).all()


@given(
    x=st.floats(-1500, 400),
    y=st.floats(-1500, 400),
    side=st.floats(1, 1500),
    shape=st.sampled_from([(40, 300), (300, 40), (64, 64), (1, 200)]),
)
def test_a_large_window_is_cut_as_a_small_one_is(x: float, y: float, side: float, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    window = Window(x, y, side)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("narrows.runtime.prompting.window._LARGE", 0)
        near = window.cut(picture, 32).astype(int)
    assert np.abs(near - window.cut(picture, 32)).max() <= 1  # Pillow takes edges as 32-bit floats


def test_a_window_around_a_wide_picture_takes_memory_for_the_picture_not_for_the_square() -> None:
    picture = np.zeros((256, 8192, 3), np.uint8)
    *_, window = windows_of(Prompt(points=(Point(0, 0), Point(8192, 256))), 8192, 256)
    assert window.side > 16_000
    tracemalloc.start()
    try:
        window.cut(picture, 96)
        assert tracemalloc.get_traced_memory()[1] < 20 * picture.nbytes
    finally:
        tracemalloc.stop()


def test_values_of_a_window_of_its_own_size_come_back_to_their_pixels() -> None:
    values = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    whole = Window(5, 3, 8).spread(values, 30, 20, -30.0)
    assert np.allclose(whole[3:11, 5:13], values, atol=1e-6)
    assert (whole[:3] == -30).all()
    assert (whole[:, 13:] == -30).all()


@given(
    x=st.floats(-50, 50), y=st.floats(-50, 50), side=st.floats(1, 120),
    width=st.integers(1, 60), height=st.integers(1, 60),
)  # fmt: skip
def test_every_window_can_be_cut_and_spread(x: float, y: float, side: float, width: int, height: int) -> None:
    window = Window(x, y, side)
    assert window.cut(np.zeros((height, width, 3), np.uint8), 16).shape == (16, 16, 3)
    spread = window.spread(np.ones((16, 16), np.float32), width, height, 0.0)
    columns = ((np.arange(width) + 0.5 >= x) & (np.arange(width) + 0.5 < x + side)).sum()
    rows = ((np.arange(height) + 0.5 >= y) & (np.arange(height) + 0.5 < y + side)).sum()
    assert np.isclose(spread.sum(), rows * columns, rtol=1e-4)


def test_a_slope_survives_there_and_back() -> None:
    picture = _ramp(96, 96)
    window = Window(10.25, 20.5, 48)
    back = window.spread(window.cut(picture, 32).astype(np.float32), 96, 96, 0.0)
    assert np.abs(back[30:60, 20:50] - picture[30:60, 20:50]).max() < 1.5


def test_the_box_map_covers_the_box_in_the_crops_pixels() -> None:
    maps = prompt_maps(Prompt(Box(20, 10, 40, 20)), Window(0, 0, 96), 96)
    assert (maps[0, 10:30, 20:60] == 255).all()
    assert int((maps[0] == 255).sum()) == 40 * 20
    assert not maps[1:].any()


def test_a_box_thinner_than_a_pixel_of_the_crop_still_shows() -> None:
    assert (prompt_maps(Prompt(Box(50, 0, 0.2, 900)), Window(0, 0, 960), 96)[0] == 255).sum() == 90


def test_points_on_and_beside_the_thing_have_maps_of_their_own() -> None:
    maps = prompt_maps(Prompt(points=(Point(20.5, 30.5), Point(70.5, 30.5, positive=False))), Window(0, 0, 96), 96)
    assert box_of(maps[1] > 0) == Box(18, 28, 6, 6) or maps[1, 30, 20] == 255
    assert maps[1, 30, 20] == 255
    assert not maps[1, :, 40:].any()
    assert maps[2, 30, 70] == 255
    assert not maps[2, :, :40].any()
    assert abs(int((maps[1] == 255).sum()) - math.pi * 9) < 5


def test_a_point_outside_the_window_leaves_no_trace() -> None:
    assert not prompt_maps(Prompt(points=(Point(500, 500),)), Window(0, 0, 96), 96).any()


def test_the_tensor_is_colours_then_maps() -> None:
    picture = np.full((96, 96, 3), (10, 20, 30), np.uint8)
    tensor = encode_input(picture, Prompt(Box(0, 0, 96, 96)), Window(0, 0, 96), 96)
    assert [int(plane[5, 5]) for plane in tensor] == [10, 20, 30, 255, 0, 0]


def test_a_box_has_one_window_and_a_point_four_from_small_to_large() -> None:
    assert windows_of(Prompt(Box(10, 20, 40, 20)), 640, 480) == (Window(4, 4, 52),)
    sides = [window.side for window in windows_of(Prompt(points=(Point(320, 240),)), 640, 480)]
    assert sides == pytest.approx([38.4, 86.4, 192, 435.2])


def test_points_far_apart_have_windows_that_hold_them_all() -> None:
    prompt = Prompt(points=(Point(100, 240), Point(400, 240)))
    assert [window.side for window in windows_of(prompt, 640, 480)] == [600]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(), "neither a box nor a point on the thing"),
        (Prompt(points=(Point(5, 5, positive=False),)), "negative points only take away"),
        (Prompt(Box(5, 5, 0, 10)), "has no area"),
        (Prompt(Box(5, 5, 10, -1)), "has no area"),
        (Prompt(Box(64, 5, 10, 10)), "lies outside the picture of 64 x 48"),
        (Prompt(Box(-10, 5, 10, 10)), "lies outside"),
        (Prompt(Box(float("nan"), 5, 10, 10)), "must be finite"),
        (Prompt(points=(Point(65, 5),)), r"point \(65, 5\) lies outside"),
        (Prompt(points=(Point(float("nan"), 5),)), "lies outside"),
        (Prompt(points=(Point(5, 5),) * 17), "has 17 points; at most 16"),
    ],
)
def test_a_prompt_that_points_at_nothing_is_refused_by_name(prompt: Prompt, message: str) -> None:
    with pytest.raises(PromptInvalid, match=message):
        prompt.check(64, 48)


def test_a_box_that_reaches_beyond_the_picture_is_taken() -> None:
    Prompt(Box(-5, -5, 20, 20)).check(64, 48)


def test_prompts_are_read_as_people_type_them() -> None:
    prompt = parse_prompt("1,2,30,40.5", ["5,6", "7,8,-"])
    assert prompt == Prompt(Box(1, 2, 30, 40.5), (Point(5, 6), Point(7, 8, positive=False)))


@pytest.mark.parametrize(("box", "points"), [("1,2,3", []), ("a,2,3,4", []), (None, ["5"]), (None, ["5,6,+"])])
def test_what_is_no_prompt_is_refused_with_an_example(box: str | None, points: list[str]) -> None:
    with pytest.raises(PromptInvalid, match=r"in pixels"):
        parse_prompt(box, points)
