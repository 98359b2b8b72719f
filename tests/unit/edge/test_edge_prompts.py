"""Prompts at the camera: followed from frame to frame, in turn within their share of a frame, refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_client.prompts.settings import PromptSettings
from edge_client.prompts.stage import NoPrompts, open_prompts
from edge_client.prompts.tracker import PromptTracker
from edge_client.prompts.tracking import follow
from narrows.contract.errors import RecordError, WeightsMismatch
from narrows.contract.outputs.objects import ObjectMask, Objects
from narrows.contract.records.prompts import PromptList, SourceBox, SourcePoint, SourcePrompt
from narrows.runtime.prompting import Point, Prompt, Window
from narrows.runtime.prompting.segmenter import PromptSegmenter
from narrows.runtime.prompting.zoom import Look
from tests.bright_network import write_bright_network

WIDTH, HEIGHT, SIZE = 320, 240, 32
FOREVER_MS = 10**13
Picture = NDArray[np.uint8]


def scene(*discs: tuple[float, float, float], width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """White discs (x, y, radius) on black."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    picture = np.zeros((height, width, 3), np.uint8)
    for x, y, radius in discs:
        picture[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = 255
    return picture


def box(
    x: float, y: float, radius: float, number: int = 1, version: int = 7, expires_ms: int = FOREVER_MS
) -> SourcePrompt:
    pointed = SourceBox(x - radius, y - radius, 2 * radius, 2 * radius)
    return SourcePrompt(number, version, WIDTH, HEIGHT, expires_ms, box=pointed)


class Camera:
    """A tracker whose network outlines what is bright, ``pass_s`` a pass of a clock that the test moves."""

    def __init__(self, *prompts: SourcePrompt, share: float = 0.5) -> None:
        self.asked, self.now_s, self.pass_s = PromptList(3, prompts), 0.0, 0.01
        self.packet_format, self.now_ms = 2, 0.0
        self.stage = PromptTracker(PromptSegmenter(self._run, SIZE), 0xABC, share, lambda: self.now_s)

    def _run(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.now_s += self.pass_s
        logits: NDArray[np.float32] = np.subtract(inputs[0], 127.5, dtype=np.float32)
        return logits

    def sees(self, picture: Picture, period_s: float = 0.1) -> dict[int, ObjectMask]:
        """What is sent of a frame, by prompt."""
        staged = self.stage.frame(picture, self.packet_format, self.asked, self.now_ms, period_s)
        self.now_s += period_s
        if staged.objects is None:
            return {}
        found = Objects.parse(staged.objects.section.payload)
        assert staged.objects.section.digest == found.digest() & 0xFFFFFF
        assert (found.width, found.height, found.side) == (picture.shape[1], picture.shape[0], SIZE)
        return {each.prompt: each for each in found.masks}

    def states(self) -> dict[int, str]:
        return {each.id: each.state for each in self.stage.answers().prompts}


def centre(found: ObjectMask, width: int = WIDTH, height: int = HEIGHT) -> tuple[float, float]:
    """The middle of a mask in the source picture."""
    whole = Objects(width, height, SIZE, (found,)).spread(found, height, width)
    rows, columns = np.nonzero(whole)
    return float(columns.mean() + 0.5), float(rows.mean() + 0.5)


def test_a_thing_is_outlined_where_it_is_in_the_source() -> None:
    found = Camera(box(100, 80, 20)).sees(scene((100, 80, 20)))[1]
    assert centre(found) == pytest.approx((100, 80), abs=1.5)
    area = Objects(WIDTH, HEIGHT, SIZE, (found,)).spread(found, HEIGHT, WIDTH).sum()
    assert area == pytest.approx(np.pi * 400, rel=0.1)


def test_a_point_finds_its_thing_and_the_box_of_the_mask_is_followed() -> None:
    prompt = SourcePrompt(1, 7, WIDTH, HEIGHT, FOREVER_MS, points=(SourcePoint(100, 80),))
    camera = Camera(prompt)
    for x in range(100, 200, 8):  # far beyond the window of the first look
        found = camera.sees(scene((x, 80, 20)))[1]
        assert centre(found) == pytest.approx((x, 80), abs=2)
    assert camera.states() == {1: "tracking"}


def test_a_thing_that_is_gone_is_lost_and_found_where_it_was() -> None:
    camera = Camera(box(100, 80, 20))
    camera.sees(scene((100, 80, 20)))
    assert camera.sees(scene())[1].mask is None
    assert camera.states() == {1: "lost"}
    found = camera.sees(scene((104, 80, 20)))[1]
    assert centre(found) == pytest.approx((104, 80), abs=1.5)
    assert camera.states() == {1: "tracking"}


def test_a_lost_thing_is_looked_for_where_it_was_last_not_where_it_was_pointed_at() -> None:
    camera = Camera(box(100, 80, 20))
    for x in range(100, 181, 8):
        camera.sees(scene((x, 80, 20)))
    camera.sees(scene())
    assert camera.states() == {1: "lost"}
    assert centre(camera.sees(scene((180, 80, 20)))[1]) == pytest.approx((180, 80), abs=1.5)


@pytest.mark.parametrize(
    "after", [(100, 80, 44), (100, 80, 8), (132, 112, 20)], ids=["more than the window", "a third", "leapt"]
)
def test_a_mask_whose_shape_jumps_is_another_things(after: tuple[float, float, float]) -> None:
    camera = Camera(box(100, 80, 20))
    camera.sees(scene((100, 80, 20)))
    assert camera.sees(scene(after))[1].mask is None
    assert camera.states() == {1: "lost"}


def test_a_thing_that_never_was_there_is_lost_and_one_that_leaves_the_picture_too() -> None:
    assert Camera(box(100, 80, 20)).sees(scene())[1].mask is None
    camera = Camera(box(300, 80, 15))
    for x in (300, 306, 312, 318):
        camera.sees(scene((x, 80, 15)))
    assert camera.states() == {1: "tracking"}
    camera.sees(scene((340, 80, 15)))
    assert camera.states() == {1: "lost"}


def test_prompts_share_their_part_of_a_frame_in_turn_and_each_ones_rate_is_told() -> None:
    things = [(40 * number, 100, 12) for number in range(1, 7)]
    camera = Camera(*(box(*each, number=number) for number, each in enumerate(things, 1)), share=0.55)
    looked = [sorted(camera.sees(scene(*things), period_s=0.1)) for _ in range(6)]
    assert looked == [
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 6],
        [1, 2, 3, 5, 6],
        [1, 2, 4, 5, 6],
        [1, 3, 4, 5, 6],
        [2, 3, 4, 5, 6],
    ]
    rates = [each.frames_per_s for each in camera.stage.answers().prompts]
    assert all(4 < rate < 8 for rate in rates)  # five of six in a frame of 0.15 s
    assert max(rates) - min(rates) < 2


def test_one_prompt_a_frame_is_looked_at_however_slow_the_device_is() -> None:
    camera = Camera(box(40, 100, 12), box(80, 100, 12, number=2), share=0.0)
    camera.pass_s = 5.0
    assert [sorted(camera.sees(scene((40, 100, 12), (80, 100, 12)))) for _ in range(4)] == [[1], [2], [1], [2]]


def test_what_expired_or_was_taken_away_is_looked_at_no_more_and_an_id_again_begins_anew() -> None:
    camera = Camera(box(100, 80, 20, expires_ms=1000), box(200, 80, 20, number=2))
    both = scene((100, 80, 20), (200, 80, 20))
    assert sorted(camera.sees(both)) == [1, 2]
    camera.now_ms = 1000.0
    assert sorted(camera.sees(both)) == [2]
    camera.asked = PromptList(4, (box(100, 80, 20, number=2, version=8),))
    assert centre(camera.sees(both)[2]) == pytest.approx((100, 80), abs=1.5)
    camera.asked = PromptList(5)
    assert camera.sees(both) == {}
    assert camera.states() == {}
    assert camera.stage.answers().version == 5


def test_a_picture_of_another_size_is_said_and_the_prompt_waits_for_its_own() -> None:
    camera = Camera(box(100, 80, 20), box(400, 80, 20, number=2))
    camera.sees(scene((100, 80, 20)))
    assert camera.states() == {1: "tracking", 2: "invalid"}
    assert camera.sees(scene((100, 80, 20), width=640, height=480)) == {}
    assert camera.states() == {1: "source_changed", 2: "source_changed"}
    answers = camera.stage.answers()
    assert (answers.width, answers.height, answers.version) == (640, 480, 3)
    assert sorted(camera.sees(scene((100, 80, 20)))) == [1]


def test_a_prompt_that_gets_its_size_back_begins_where_it_was_pointed_at() -> None:
    camera = Camera(box(100, 80, 20))
    for x in range(100, 181, 8):
        camera.sees(scene((x, 80, 20)))
    camera.sees(scene((10, 10, 5), width=WIDTH // 2, height=HEIGHT // 2))
    assert centre(camera.sees(scene((100, 80, 20), (180, 80, 20)))[1]) == pytest.approx((100, 80), abs=1.5)


def test_what_somebody_on_site_sees_of_a_prompt_is_no_mask_from_before_its_picture_changed() -> None:
    first, second = box(60, 80, 20), box(250, 80, 20, number=2)
    camera = Camera(first, second, share=0.0)  # one look a frame
    both = scene((60, 80, 20), (250, 80, 20))
    camera.sees(both)
    camera.sees(both)
    camera.sees(scene(width=WIDTH // 2, height=HEIGHT // 2))
    newest = camera.stage.frame(both, 2, camera.asked, 0.0, 0.1).newest
    assert newest is not None
    assert len(newest.masks) == 1


def test_what_somebody_on_site_sees_has_no_outline_of_a_lost_thing() -> None:
    camera = Camera(box(60, 80, 20), box(250, 80, 20, number=2), share=10)
    there, gone = scene((60, 80, 20), (250, 80, 20)), scene((250, 80, 20))
    newest = [camera.stage.frame(each, 2, camera.asked, 0.0, 0.1).newest for each in (there, gone)]
    assert [[mask.prompt for mask in found.masks] for found in newest if found is not None] == [[1, 2], [2]]


def test_the_last_look_for_points_has_the_box_that_they_gave_and_the_points_themselves() -> None:
    seen: list[NDArray[np.uint8]] = []

    def run(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(inputs)
        logits: NDArray[np.float32] = np.subtract(inputs[0], 127.5, dtype=np.float32)
        return logits

    points = (Point(100, 80), Point(118, 80, positive=False))
    look = PromptSegmenter(run, SIZE).look(scene((100, 80, 20)), Prompt(points=points))
    assert look.passes == len(seen) > 1
    assert [bool(inputs[3].any()) for inputs in seen] == [False] * (len(seen) - 1) + [True]
    assert all(inputs[4].any() for inputs in seen)
    assert seen[-1][5].any()


def test_a_rate_is_looks_a_second_from_the_second_look_on_and_none_when_the_last_was_long_ago() -> None:
    camera = Camera(box(100, 80, 20))

    def rate() -> float:
        (answer,) = camera.stage.answers().prompts
        return answer.frames_per_s

    camera.sees(scene((100, 80, 20)), period_s=0.24)
    assert rate() == 0.0
    for _ in range(20):
        camera.sees(scene((100, 80, 20)), period_s=0.24)
    assert rate() == 4.0  # a pass of 0.01 s and the rest of the period
    camera.now_s += 11
    camera.sees(scene(width=WIDTH // 2, height=HEIGHT // 2))
    assert rate() == 0.0


def test_a_camera_that_may_not_send_format_2_says_so_and_sends_no_objects() -> None:
    camera = Camera(box(100, 80, 20))
    camera.packet_format = 1
    assert camera.sees(scene((100, 80, 20))) == {}
    assert (camera.stage.answers().unable, camera.states()) == ("packet_format", {1: "waiting"})
    camera.packet_format = 2
    assert sorted(camera.sees(scene((100, 80, 20)))) == [1]
    assert camera.stage.answers().unable == ""


def test_a_camera_without_a_network_says_so() -> None:
    stage = open_prompts(PromptSettings())
    assert isinstance(stage, NoPrompts)
    asked = PromptList(9, (box(100, 80, 20),))
    assert stage.frame(scene(), 2, asked, 0.0, 0.1).objects is None
    answers = stage.answers()
    assert (answers.unable, answers.width, answers.height, answers.version) == ("no_network", WIDTH, HEIGHT, 9)


def test_a_file_is_opened_once_its_interface_is_right(tmp_path: Path) -> None:
    stage = open_prompts(PromptSettings(write_bright_network(tmp_path / "bright.onnx")))
    staged = stage.frame(scene((100, 80, 20)), 2, PromptList(1, (box(100, 80, 20),)), 0.0, 0.1)
    assert staged.objects is not None
    (found,) = Objects.parse(staged.objects.section.payload).masks
    assert centre(found) == pytest.approx((100, 80), abs=1.5)
    with pytest.raises(WeightsMismatch, match="at most 128"):
        open_prompts(PromptSettings(write_bright_network(tmp_path / "large.onnx", 160)))
    (tmp_path / "none.onnx").write_bytes(b"none")
    with pytest.raises(WeightsMismatch, match=r"none\.onnx"):
        open_prompts(PromptSettings(tmp_path / "none.onnx"))


@pytest.mark.parametrize("beyond", [SourceBox(-900_000, 0, 1_000_000, 40), SourceBox(100, -5000, 40, 100_000)])
def test_a_box_far_beyond_the_picture_is_looked_at_in_the_picture(beyond: SourceBox) -> None:
    """Whoever writes the record: a window as large as the box would take terabytes, or a packet has no room for it."""
    prompt = SourcePrompt(1, 7, WIDTH, HEIGHT, FOREVER_MS, box=beyond)
    found = Camera(prompt).sees(scene((100, 80, 20)))[1]
    assert found.side <= 2 * WIDTH


def test_a_list_with_one_id_twice_is_no_list() -> None:
    """Followed all the same, each of the camera's frames would have two masks of one prompt, and be refused."""
    unique = PromptList(3, (box(100, 80, 20, 1), box(200, 80, 20, 2)))
    assert PromptList.parse(unique.to_json()) == unique
    twice = unique.to_json().replace(b'"id":2', b'"id":1')
    with pytest.raises(RecordError, match="prompt 1 is there twice"):
        PromptList.parse(twice)


@pytest.mark.parametrize("cells", [3, 4])
def test_a_mask_of_fewer_cells_than_a_thing_has_is_gone(cells: int) -> None:
    logits = np.full((SIZE, SIZE), -5.0, np.float32)
    logits[10, 10 : 10 + cells] = 5.0
    outline = follow(None, Look(Window(100, 100, SIZE), logits, 1), WIDTH, HEIGHT)
    assert (outline.mask is not None) is (cells == 4)
    assert (outline.seen is not None) is (cells == 4)


@pytest.mark.parametrize("place", [1, 26], ids=["leapt", "far off"])
def test_what_became_another_things_mask_is_not_followed(place: int) -> None:
    """However long it stands there: a thing is looked for where it was."""
    before = follow(None, _look(12), WIDTH, HEIGHT).seen
    assert before is not None
    for _ in range(3):
        outline = follow(before, _look(place), WIDTH, HEIGHT)
        assert (outline.mask, outline.seen) == (None, before)


def _look(place: int) -> Look:
    logits = np.full((SIZE, SIZE), -5.0, np.float32)
    logits[place : place + 5, place : place + 5] = 5.0
    return Look(Window(100, 100, SIZE), logits, 1)
