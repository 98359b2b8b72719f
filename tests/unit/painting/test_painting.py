"""Masks become pictures without losing a label."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from narrows.client.painting import Legend, blend, colour_wheel, paint, paint_outlines, side_by_side, to_palette_png
from narrows.contract.bundle import Bundle
from narrows.contract.errors import BundleError
from narrows.contract.outputs import Output, OutputValue
from narrows.contract.outputs.labels import labels_output
from narrows.contract.outputs.objects import ObjectMask, Objects

DEMO_BUNDLE = Path(__file__).resolve().parents[3] / "bundles" / "demo"


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 1 << 32))
def test_a_palette_picture_gives_its_labels_back(height: int, width: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    with Image.open(io.BytesIO(to_palette_png(labels, colour_wheel()))) as image:  # noqa: TID251
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), labels)


def test_a_palette_picture_shows_the_legends_colours() -> None:
    legend = Legend(1, ("sky", "road"), ((1, 2, 3), (4, 5, 6)))
    png = to_palette_png(np.array([[0, 1]], np.uint8), legend.palette())
    with Image.open(io.BytesIO(png)) as image:  # noqa: TID251
        assert np.asarray(image.convert("RGB")).tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_the_colour_wheel_has_256_colours() -> None:
    assert len({tuple(colour) for colour in colour_wheel().tolist()}) == 256


def test_a_label_without_a_name_goes_by_its_number() -> None:
    legend = Legend(1, ("sky",), ((0, 0, 0),))
    assert (legend.name(0), legend.name(7)) == ("sky", "7")


def test_a_legend_speaks_for_its_own_bundle_only() -> None:
    legend = Legend(1, ("sky",), ((9, 9, 9),))
    assert legend.for_bundle(1) is legend
    assert legend.for_bundle(2) == Legend()


def test_the_legend_of_a_bundle_is_in_its_manifest(tmp_path: Path) -> None:
    legend, bundle = Legend.of_bundle(DEMO_BUNDLE), Bundle.open(DEMO_BUNDLE)
    assert (legend.bundle_id, legend.names, legend.colours) == (
        bundle.id,
        bundle.manifest.classes,
        bundle.manifest.palette,
    )
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Legend.of_bundle(tmp_path)


def test_a_blend_lies_between_the_picture_and_the_colours() -> None:
    picture, labels = np.full((2, 3, 3), 100, np.uint8), np.zeros((2, 3), np.uint8)
    palette = np.full((256, 3), 200, np.uint8)
    assert np.unique(blend(picture, labels, palette, opacity=0.5)).tolist() == [150]
    assert np.array_equal(blend(picture, labels, palette, opacity=0.0), picture)
    assert side_by_side(picture, picture).shape == (2, 6, 3)


def test_a_mask_of_another_size_cannot_be_laid_over() -> None:
    with pytest.raises(ValueError, match="does not cover"):
        blend(np.zeros((2, 2, 3), np.uint8), np.zeros((3, 3), np.uint8), colour_wheel())


def test_the_first_output_that_can_be_painted_is() -> None:
    legend = Legend(1, ("sky", "road"), ((1, 2, 3), (4, 5, 6)))
    scores = OutputValue(Output("scene", "scores", "float32", (1,), "raw"), np.zeros(1, np.float32))
    first, second = (
        OutputValue(labels_output(1, 2, ("sky", "road")), np.array([row], np.uint8)) for row in ([0, 1], [1, 1])
    )
    assert paint([scores, first, second], legend) == to_palette_png(first.values, legend.palette())
    assert paint([scores], legend) == b""


def test_outlines_are_drawn_around_what_was_outlined_and_the_rest_is_transparent() -> None:
    things = Objects(64, 48, 8, (ObjectMask(1, 7, 16, 8, 32, np.ones((8, 8), bool)), ObjectMask(2, 7, 0, 0, 9, None)))
    with Image.open(io.BytesIO(paint_outlines(things))) as png:  # noqa: TID251
        pixels = np.asarray(png.convert("RGBA"))
    expected = np.zeros((48, 64), bool)
    expected[8:40, 16:48] = True
    expected[10:38, 18:46] = False
    np.testing.assert_array_equal(pixels[..., 3] > 0, expected)
    assert (pixels[expected] == (255, 214, 0, 255)).all()


def test_outlines_of_a_large_picture_are_no_larger_than_a_screen_shows() -> None:
    with Image.open(io.BytesIO(paint_outlines(Objects(3840, 2160, 8, ())))) as png:  # noqa: TID251
        assert png.size == (640, 360)
