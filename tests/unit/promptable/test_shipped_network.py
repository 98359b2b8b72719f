"""The network that is shipped: it opens as a camera opens it, is as small as a sensor asks, and outlines a car."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.runtime.pictures import read_picture
from narrows.runtime.prompting import Box, Prompt
from narrows.runtime.prompting.segmenter import PromptSegmenter

ROOT = Path(__file__).resolve().parents[3]
NETWORK = ROOT / "bundles" / "prompted" / "sensor.int8.onnx"
SAMPLE, CAR = "0016E5_08037", 8
LEFT, TOP, WIDTH, HEIGHT = 324, 173, 130, 90


def test_it_has_at_most_1_3_megabytes_and_outlines_a_car_better_than_its_box_filled() -> None:
    assert NETWORK.stat().st_size <= 1_300_000
    picture = read_picture(ROOT / "samples" / "images" / "val" / f"{SAMPLE}.jpg")
    labels = np.asarray(Image.open(ROOT / "samples" / "labels" / "val" / f"{SAMPLE}.png"))  # noqa: TID251
    boxed = np.zeros(labels.shape, bool)
    boxed[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = True
    car = boxed & (labels == CAR)
    found = PromptSegmenter.open(NETWORK).segment(picture, Prompt(Box(LEFT, TOP, WIDTH, HEIGHT)))
    overlap = (found.mask & car).sum() / (found.mask | car).sum()
    assert overlap > 0.8
    assert (boxed & car).sum() / (boxed | car).sum() < 0.7


@pytest.mark.parametrize("name", ["seen.png", "seen.JPG", "seen.webp"])
def test_the_command_paints_a_thing_and_writes_its_mask(name: str, tmp_path: Path) -> None:
    box = f"{LEFT},{TOP},{WIDTH},{HEIGHT}"
    words = ["promptable", "segment", str(ROOT / "samples" / "images" / "val" / f"{SAMPLE}.jpg"), "--box", box]
    words += ["--network", str(NETWORK), "--out", str(tmp_path / name), "--mask", str(tmp_path / "mask.png")]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    mask = np.asarray(Image.open(tmp_path / "mask.png"))  # noqa: TID251
    assert set(np.unique(mask)) == {0, 255}
    assert f"{int((mask == 255).sum()):,} of {mask.size:,} pixels, 1 passes" in ended.output
    assert read_picture(tmp_path / name).shape == (*mask.shape, 3)
