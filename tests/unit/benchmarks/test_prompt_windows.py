"""A point's windows one by one: what is outside one is missed, and the label finds the best of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.prompt.figures import render
from benchmarks.prompt.windows import BEST, CHOSEN, MIDDLE, TOLD, judge_windows, middle, window_rows
from narrows.runtime.prompting.segmenter import PromptSegmenter
from tests.unit.promptable.things import disc, picture_of, thing


def _bright(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    brightness: NDArray[np.float32] = inputs[0].astype(np.float32) - np.float32(127.5)
    return brightness


def test_a_window_misses_what_is_outside_it_and_the_label_finds_the_best() -> None:
    rows = {row["window"]: row for row in window_rows(judge_windows([picture_of(disc(30, 24, 14))], _network()))}
    small, large = rows["0.06 of the picture"], rows["0.68 of the picture"]
    assert small["iou"] < 0.05
    assert small["iou_crop"] == 1
    assert large["iou"] > 0.8
    assert rows[BEST]["iou"] == max(row["iou"] for name, row in rows.items() if "picture" in name) == large["iou"]
    assert rows[CHOSEN]["iou"] == large["iou"]  # the others are cut off by their windows
    assert rows[TOLD]["iou"] == pytest.approx(large["iou"], abs=0.15)
    assert rows[MIDDLE]["iou"] == rows[MIDDLE]["iou_crop"] == pytest.approx(1, abs=0.1)
    assert small["instances"] == 1


def test_the_middle_of_a_ring_is_on_the_ring() -> None:
    ring = disc(30, 24, 14) & ~disc(30, 24, 11)
    found = middle(thing(ring))
    assert ring[int(found.y), int(found.x)]
    assert np.hypot(found.x - 30, found.y - 24) < 12


def test_windows_have_a_table_of_their_own() -> None:
    rows = window_rows({"0.3 of the picture": [(0.25, 0.5), (0.75, 1.0)]})
    page = render({"rows": [], "networks": [], "gains": [], "windows": rows, "network": None})
    assert "| 0.3 of the picture | 2 | 0.500 | 0.750 |" in page
    assert "No fold has a trained network yet" in page


def test_the_table_says_which_networks_judged_and_what_a_teacher_is_worth() -> None:
    networks = [
        {"by": "float", "fold": 0, "epochs": 80},
        {"by": "taught", "fold": 0, "epochs": 80},
        {"by": "float", "fold": 1, "epochs": 80},
    ]
    gains = [{"prompt": "loose-box", "folds": [0], "instances": 7, "gain": 0.0131, "low": -0.002, "high": 0.03}]
    page = render({"rows": [], "networks": networks, "gains": gains, "windows": [], "network": None})
    assert "`float` of folds 0 (80 epochs), 1 (80 epochs), `taught` of folds 0 (80 epochs)." in page
    assert "| loose box | 7 | +0.013 | -0.002 to +0.030 |" in page


def _network() -> PromptSegmenter:
    return PromptSegmenter(_bright, 96)
