"""What a mask scores, against numbers that can be counted by hand, and what a split is told to be."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.models.promptable.data import Layout
from narrows.models.promptable.evaluation import Split, evaluate_split
from narrows.models.promptable.evaluation.evaluate import evaluate_prompts
from narrows.models.promptable.evaluation.measures import (
    boundary_f,
    centres,
    dilated,
    filled_box,
    inscribed_ellipse,
    overlap,
)
from narrows.models.promptable.evaluation.scores import (
    ThingScore,
    by_size,
    gain_by_picture,
    interval_by_picture,
    mean_of,
)
from narrows.models.promptable.prompts import PromptKind
from narrows.runtime.prompting import Box, Prompt, Window
from narrows.runtime.prompting.segmenter import PromptedMask, PromptSegmenter
from tests.unit.promptable.things import HEIGHT, WIDTH, disc, picture_of, rectangle, write_coco_panoptic

COCO = Path(__file__).parents[4] / "shared/data/coco_panoptic"


def _score(iou: float, picture: str = "p", area: int = 100) -> ThingScore:
    return ThingScore(picture, area, 0.5, 0.6, 0.5, 0.6, 0.3, iou=iou)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(rectangle(0, 0, 10, 10), rectangle(5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert overlap(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) == 1


def test_a_disc_fills_pi_quarters_of_its_box_and_all_of_its_ellipse() -> None:
    places = centres(0, WIDTH, WIDTH), centres(0, HEIGHT, HEIGHT)
    true, box = disc(30, 22, 20), Box(10, 2, 40, 40)
    assert overlap(filled_box(box, *places), true) == pytest.approx(np.pi / 4, abs=0.01)
    assert overlap(inscribed_ellipse(box, *places), true) == 1


def test_an_outline_within_the_tolerance_counts_and_one_beyond_does_not() -> None:
    true = rectangle(10, 10, 20, 20)  # the diagonal is 80 pixels, so one pixel is tolerated
    assert boundary_f(rectangle(11, 11, 18, 18), true) == 1
    assert boundary_f(rectangle(14, 14, 12, 12), true) == 0
    assert boundary_f(true, true) == 1
    assert boundary_f(np.zeros_like(true), true) == 0


def test_dilation_reaches_a_square_around() -> None:
    assert np.array_equal(dilated(rectangle(10, 10, 1, 1), 2), rectangle(8, 8, 5, 5))
    assert np.array_equal(dilated(rectangle(0, 0, 1, 1), 2), rectangle(0, 0, 3, 3))


def _oracle(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """White things on black: brightness is the mask."""
    brightness: NDArray[np.float32] = inputs[0].astype(np.float32) - np.float32(127.5)
    return brightness


@pytest.mark.parametrize("kind", list(PromptKind))
def test_a_network_that_sees_everything_scores_nearly_one(kind: PromptKind) -> None:
    (score,) = evaluate_prompts([picture_of(disc(30, 24, 14))], kind, PromptSegmenter(_oracle, 96).segment)
    assert score.iou is not None
    assert score.iou_crop is not None
    assert score.iou > 0.95
    assert score.iou_crop > 0.95
    assert score.boundary_f == 1


def test_what_lies_outside_the_window_is_missed_in_source_pixels_alone() -> None:
    def half(picture: NDArray[np.uint8], prompt: Prompt) -> PromptedMask:
        window = Window(10, 10, 20)
        logits = np.ones((96, 96), np.float32)
        return PromptedMask(window.spread(logits, WIDTH, HEIGHT, -30.0) > 0, window, logits, 1)

    (score,) = evaluate_prompts([picture_of(rectangle(10, 10, 40, 20))], PromptKind.POINT, half)
    assert score.iou == pytest.approx(0.5)
    assert score.iou_crop == 1


def test_floors_need_no_network_and_are_of_the_prompts_box() -> None:
    (tight,) = evaluate_prompts([picture_of(disc(30, 24, 14))], PromptKind.BOX)
    (loose,) = evaluate_prompts([picture_of(disc(30, 24, 14))], PromptKind.LOOSE_BOX)
    assert tight.iou is None
    assert tight.fill_box == pytest.approx(np.pi / 4, abs=0.02)
    assert tight.fill_box_crop == pytest.approx(tight.fill_box, abs=0.02)
    assert tight.all_ones_96 == pytest.approx(np.pi * 14**2 / 96**2, abs=0.003)
    assert loose.fill_box < tight.fill_box


def test_a_mean_is_over_things_and_its_interval_over_pictures() -> None:
    alike = [_score(0.2, "a")] * 50 + [_score(0.8, "b")] * 50
    assert mean_of(alike, "iou") == 0.5
    assert interval_by_picture(alike) == (0.2, 0.8)  # two pictures, whatever they hold
    assert interval_by_picture([]) == (None, None)


def test_a_gain_is_of_the_same_things_and_its_interval_over_pictures() -> None:
    before = [_score(0.2, "a"), _score(0.4, "a"), _score(0.6, "b")]
    after = [_score(0.3, "a"), _score(0.5, "a"), _score(0.8, "b")]
    gain, low, high = gain_by_picture(after, before)
    assert gain == pytest.approx(0.4 / 3, abs=1e-5)
    assert (low, high) == (0.1, 0.2)  # were things drawn, or the two networks' apart, it would be wider
    with pytest.raises(ValueError, match="other things"):
        gain_by_picture(after[1:], before)


def test_sizes_are_cocos() -> None:
    told = by_size([_score(0.1, area=32**2 - 1), _score(0.2, area=32**2), _score(0.3, area=96**2)])
    assert {size: each["miou"] for size, each in told.items()} == {"small": 0.1, "medium": 0.2, "large": 0.3}


def test_the_command_writes_scores_and_floors(tmp_path: Path) -> None:
    write_coco_panoptic(tmp_path)
    written = tmp_path / "out.json"
    line = f"promptable evaluate --data {tmp_path} --layout coco-panoptic --split train2017 --json {written}"
    ended = CliRunner().invoke(app, line.split())
    assert ended.exit_code == 0, ended.output
    told = json.loads(written.read_text())
    assert told["instances"] == 1
    assert told["miou"] is None
    assert told["floor_fill_box"] == 1
    assert told["floor_ellipse"] == pytest.approx(np.pi / 4, abs=0.06)


@pytest.mark.skipif(not COCO.is_dir(), reason="needs ../shared/data/coco_panoptic")
def test_coco_things_have_the_floors_that_others_found() -> None:
    """0.566 and 0.589, counted elsewhere on the same 707 things; how a box is rounded to pixels is worth a point."""
    scores, _ = evaluate_split(Split(COCO, Layout.COCO_PANOPTIC, "train2017"), PromptKind.BOX, None)
    assert (scores.instances, scores.pictures) == (707, 100)
    assert scores.floor_fill_box == pytest.approx(0.566, abs=0.015)
    assert scores.floor_ellipse == pytest.approx(0.589, abs=0.005)
    assert scores.floor_all_ones_96 == pytest.approx(0.324, abs=0.02)


def test_an_encoder_alone_is_no_pair(tmp_path: Path) -> None:
    write_coco_panoptic(tmp_path)
    line = f"promptable evaluate --data {tmp_path} --layout coco-panoptic --split train2017 --encoder e.onnx"
    ended = CliRunner().invoke(app, line.split())
    assert ended.exit_code != 0
    assert "--network" in ended.output + ended.stderr


def test_an_interval_holds_the_mean_where_pictures_have_more_things_or_fewer() -> None:
    """A picture of nine things counts nine times."""
    many = [_score(0.2, f"m{place}") for place in range(10) for _ in range(9)]
    few = [_score(0.8, f"f{place}") for place in range(10)]
    low, high = interval_by_picture([*many, *few])
    assert low is not None
    assert high is not None
    assert low < 0.26 < high < 0.4
