"""Prompts are drawn from masks, the same ones each time."""

import numpy as np
import pytest

from narrows.models.promptable.prompts import (
    PromptKind,
    draw_prompt,
    eroded,
    generator,
    loosened,
    points_beside,
    points_on,
)
from narrows.runtime.prompting import Box
from tests.unit.promptable.things import HEIGHT, WIDTH, disc, rectangle, thing

SIZE = (WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", list(PromptKind))
def test_a_prompt_hangs_on_its_kind_and_its_thing_alone(kind: PromptKind) -> None:
    first, other = thing(disc(30, 20, 12), "a"), thing(disc(30, 20, 12), "b")
    assert draw_prompt(first, kind, SIZE) == draw_prompt(first, kind, SIZE)
    assert (draw_prompt(first, kind, SIZE) == draw_prompt(other, kind, SIZE)) is (kind is PromptKind.BOX)


def test_a_point_is_on_the_thing_and_off_its_edge() -> None:
    mask = disc(30, 20, 15)
    inner = eroded(np.pad(mask, 0), 1)
    for place in range(200):
        (point,) = points_on(thing(mask), 1, generator(f"{place}"))
        assert inner[int(point.y), int(point.x)]


def test_points_are_uniform_over_the_eroded_mask() -> None:
    points = points_on(thing(rectangle(10, 10, 40, 20)), 20_000, generator("uniform"))
    xs = np.array([point.x for point in points])
    assert (xs.min(), xs.max()) == (11.5, 48.5)  # radius 1 of 0.05 x sqrt(800)
    counts, _ = np.histogram(xs, 38, (11, 49))
    assert counts.min() > 400
    assert counts.max() < 660


def test_a_thing_that_erodes_away_is_tapped_on_its_mask() -> None:
    thin = rectangle(5, 5, 50, 2)
    (point,) = points_on(thing(thin), 1, generator("thin"))
    assert thin[int(point.y), int(point.x)]


def test_negative_points_are_near_the_thing_and_never_on_it() -> None:
    mask = disc(30, 20, 8)
    for point in points_beside(thing(mask), 300, SIZE, generator("beside")):
        assert not mask[int(point.y), int(point.x)]
        assert 15 <= point.x <= 45
        assert not point.positive


def test_where_the_thing_fills_the_picture_there_are_no_negative_points() -> None:
    assert points_beside(thing(np.ones((HEIGHT, WIDTH), bool)), 3, SIZE, generator("full")) == ()


def test_a_loose_box_moves_each_edge_by_a_fifth_of_its_side_at_most() -> None:
    boxes = [loosened(Box(20, 10, 20, 10), 0.2, SIZE, generator(f"{n}")) for n in range(500)]
    for values, middle, most in (([b.x for b in boxes], 20, 4), ([b.bottom for b in boxes], 20, 2)):
        assert max(abs(v - middle) for v in values) <= most
        assert max(v - middle for v in values) > 0.9 * most
        assert min(v - middle for v in values) < -0.9 * most


def test_a_loose_box_stays_within_the_picture() -> None:
    for place in range(100):
        box = loosened(Box(0, 0, WIDTH, HEIGHT), 0.3, SIZE, generator(f"{place}"))
        assert box.x >= 0
        assert box.right <= WIDTH
        assert box.bottom <= HEIGHT
        assert box.width >= 1


def test_erosion_keeps_what_is_set_all_around() -> None:
    mask = rectangle(10, 10, 7, 5)
    assert np.array_equal(eroded(mask, 2), rectangle(12, 12, 3, 1))
    assert not eroded(np.ones((4, 4), bool), 2).any()
