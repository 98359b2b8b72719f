"""Bad pictures to train on: seeded, of the same size, each kind doing what it is named for."""

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from narrows.models.dataset import LabelledPicture
from narrows.models.training.augment import Augmentation, augment
from narrows.models.training.bad_pictures import (
    KINDS,
    WEIGHTS,
    Kind,
    Light,
    Picture,
    darkness,
    defocus,
    disc,
    glare,
    grain,
    jpeg,
    line,
    motion,
    path,
    streaks,
    worsen,
)
from narrows.models.training.check import worsened
from narrows.models.training.config import TrainingConfig
from narrows.models.training.loop import train
from tests.workshop.training.small_run import config, progress

SEEDS = range(12)
GREY: Light = np.full((48, 64, 3), 0.5, np.float32)


@pytest.fixture(scope="module")
def picture() -> Picture:
    chance = np.random.default_rng(1)
    return np.kron(chance.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))


def as_light(picture: Picture) -> Light:
    return picture.astype(np.float32) / np.float32(255)


def by_seed(kind: Kind, light: Light) -> list[Light]:
    return [np.clip(kind(light, np.random.default_rng(seed)), 0, 1) for seed in SEEDS]


def contrast(light: Light) -> float:
    return float(np.abs(np.diff(light, axis=0)).mean() + np.abs(np.diff(light, axis=1)).mean())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_keeps_the_size_depends_on_its_seed_alone_and_leaves_its_input(kind: Kind, picture: Picture) -> None:
    light = as_light(picture)
    kept = light.copy()
    first, again, other = (kind(light, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.shape, first.dtype.name) == (light.shape, "float32")
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(light, kept)


def test_a_bad_picture_is_bytes_of_the_same_size_and_seeded(picture: Picture) -> None:
    first, again = (worsen(picture, np.random.default_rng(5)) for _ in range(2))
    assert (first.shape, first.dtype.name) == (picture.shape, "uint8")
    assert np.array_equal(first, again)
    assert not np.array_equal(first, picture)
    assert float(WEIGHTS.sum()) == pytest.approx(1)


def test_blur_takes_contrast_and_keeps_brightness(picture: Picture) -> None:
    light = as_light(picture)
    for kind in (defocus, motion):
        for blurred in by_seed(kind, light):
            assert contrast(blurred) < contrast(light)
            assert float(blurred.mean()) == pytest.approx(float(light.mean()), abs=0.06)


def test_darkness_is_darker_and_noisier_the_fewer_photons_there_are() -> None:
    dark = by_seed(darkness, GREY)
    assert all(float(each.mean()) < 0.5 for each in dark)
    assert all(float(each.std()) > 0.003 for each in dark)
    assert min(float(each.mean()) for each in dark) < 0.3


def test_grain_leaves_the_mean_and_comes_in_strengths_ten_times_apart() -> None:
    grainy = by_seed(grain, GREY)
    spreads = [float(each.std()) for each in grainy]
    assert all(float(each.mean()) == pytest.approx(0.5, abs=0.05) for each in grainy)
    assert max(spreads) > 5 * min(spreads)
    assert min(spreads) > 0.01


def test_glare_only_adds_light_and_streaks_are_lighter_than_what_is_behind() -> None:
    assert all((each >= GREY - 1e-6).all() for each in by_seed(glare, GREY))
    black = np.zeros_like(GREY)
    assert all(float(each.max()) > 0.1 and float(np.median(each)) < 0.1 for each in by_seed(streaks, black))


def test_jpeg_keeps_colours_apart() -> None:
    red = np.zeros_like(GREY)
    red[..., 0] = 0.8
    for coded in by_seed(jpeg, red):
        assert float(coded[..., 0].mean()) == pytest.approx(0.8, abs=0.1)
        assert float(coded[..., 2].mean()) < 0.1


@pytest.mark.parametrize("kernel", [disc(1.0), disc(6.3), line(20, 0.4), path(25, np.random.default_rng(3))])
def test_kernels_weigh_to_one_and_are_odd_squares(kernel: Light) -> None:
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert float(kernel.max()) < 1


def test_a_line_is_as_long_as_it_was_asked_to_be() -> None:
    along = np.flatnonzero(line(20, 0.0).sum(axis=0))
    assert along[-1] - along[0] == pytest.approx(20, abs=1)


def sample(picture: Picture) -> LabelledPicture:
    return LabelledPicture("one", picture, np.zeros(picture.shape[:2], np.uint8))


def test_only_so_many_views_are_bad_and_without_any_the_draws_are_those_of_before(picture: Picture) -> None:
    how = Augmentation((64, 48), (1.0, 1.0), light=0.0)
    clean = [augment(sample(picture), how, Random(seed))[0] for seed in range(40)]
    bad = [augment(sample(picture), replace(how, bad_share=0.5), Random(seed))[0] for seed in range(40)]
    flips = (clean[0], clean[0][:, :, ::-1])
    untouched = sum(any(np.array_equal(view, flipped) for flipped in flips) for view in bad)
    assert all(any(np.array_equal(view, flipped) for flipped in flips) for view in clean)
    assert 10 <= untouched <= 30


def test_labels_stay_where_they_are(picture: Picture) -> None:
    labels = np.zeros(picture.shape[:2], np.uint8)
    labels[:, :32] = 1
    how = Augmentation((64, 48), (1.0, 1.0), bad_share=1.0)
    _, seen = augment(LabelledPicture("one", picture, labels), how, Random(1))
    assert np.array_equal(seen, labels) or np.array_equal(seen, labels[:, ::-1])


def test_the_check_worsens_a_sample_in_the_same_way_every_time(picture: Picture) -> None:
    one, other = worsened(sample(picture)), worsened(sample(picture))
    assert np.array_equal(one.picture, other.picture)
    assert not np.array_equal(one.picture, picture)


def test_a_run_says_how_it_does_on_bad_pictures(data: Path, tmp_path: Path) -> None:
    train(replace(config(data, 2), check_share=0.25, bad_share=1.0), tmp_path / "run", lambda _: None)
    last = progress(tmp_path / "run")[-1]
    assert 0 <= last["bad_miou1"] <= 1
    assert "bad pictures, level 1" in (tmp_path / "run" / "training.html").read_text()


def test_a_run_from_before_there_were_bad_pictures_had_none(data: Path, tmp_path: Path) -> None:
    stored = tmp_path / "config.json"
    config(data, 2).write(stored)
    stored.write_text(stored.read_text().replace('"bad_share": 0.5,', ""))
    assert TrainingConfig.read(stored).bad_share == 0
