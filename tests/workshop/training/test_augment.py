"""Views for training: what is done to a picture is done to its labels, and no label becomes another."""

from random import Random

import numpy as np
import pytest

from narrows.models.dataset import LabelledPicture
from narrows.models.training.augment import DEVIATION, MEAN, Augmentation, augment
from narrows.models.training.loop import _batches

CLASSES = (0, 7, 3)
WIDTH, HEIGHT = 96, 64


@pytest.fixture(scope="module")
def sample() -> LabelledPicture:
    """Broad stripes, of which a pixel's grey tells the class; no mirror image is the same."""
    labels = np.repeat(np.array([0, 0, 7, 3, 7, 7], np.uint8), WIDTH // 6)[None].repeat(HEIGHT, axis=0)
    labels[: HEIGHT // 4] = 3
    return LabelledPicture("stripes", (labels * 30)[..., None].repeat(3, axis=2), labels)


@pytest.mark.parametrize("seed", range(12))
def test_a_views_labels_lie_where_its_picture_shows_them(seed: int, sample: LabelledPicture) -> None:
    how = Augmentation((48, 32), (0.5, 2.0), light=0.0)
    pixels, labels = augment(sample, how, Random(seed))
    assert set(np.unique(labels)) <= set(CLASSES)
    grey = pixels * DEVIATION + MEAN
    nearest = np.array(CLASSES)[np.abs(grey[0][..., None] - 30 * np.array(CLASSES)).argmin(axis=-1)]
    assert (nearest == labels).mean() > 0.93  # all but the blurred edges


def test_half_of_the_views_are_mirrored_and_none_is_upside_down(sample: LabelledPicture) -> None:
    how = Augmentation((WIDTH, HEIGHT), (1.0, 1.0), light=0.0)
    views = [augment(sample, how, Random(seed))[1] for seed in range(40)]
    mirrored = [np.array_equal(view, sample.labels[:, ::-1]) for view in views]
    assert all(flipped or np.array_equal(view, sample.labels) for view, flipped in zip(views, mirrored, strict=True))
    assert 10 < sum(mirrored) < 30


@pytest.mark.parametrize("zoom", [1.0, 2.0, 4.0])
def test_things_are_as_large_as_the_zoom_says(zoom: float, sample: LabelledPicture) -> None:
    stripes = np.zeros((HEIGHT, WIDTH), np.uint8)
    stripes[:, ::3] = 1
    how = Augmentation((48, 32), (zoom, zoom), light=0.0)
    seen = augment(LabelledPicture("stripes", sample.picture, stripes), how, Random(3))[1]
    apart = np.diff(np.flatnonzero(np.diff(seen[0]) == 1))
    assert len(apart) >= 2
    assert (np.abs(apart - 3 * zoom) <= 1).all()


@pytest.mark.parametrize(("pictures", "batch", "steps"), [(305, 8, 39), (9, 8, 2), (4, 8, 1), (16, 8, 2)])
def test_no_batch_is_left_with_the_rest(pictures: int, batch: int, steps: int) -> None:
    """One picture's statistics and gradient would count for as much as eight pictures'."""
    samples = [
        LabelledPicture(str(number), np.zeros((4, 4, 3), np.uint8), np.full((4, 4), number % 250, np.uint8))
        for number in range(pictures)
    ]
    how = Augmentation((4, 4), (1.0, 1.0), light=0.0)
    labels = [seen[:, 0, 0].tolist() for _, seen in _batches(samples, batch, how, Random(1))]
    sizes = [len(each) for each in labels]
    assert len(sizes) == steps
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1
    assert sorted(number for each in labels for number in each) == sorted(n % 250 for n in range(pictures))
