"""The default level loses no more than it may beyond doubt: few pictures show little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from narrows.models.split.agreement import decisions, least_agreement
from narrows.models.split.cuts import cut_at
from narrows.models.split.export import write_split_bundle
from narrows.models.split.feeding import Feeding, Normalisation
from narrows.models.split.shipping import Classes
from tests.workshop.split.networks import RESIDUAL, opened, unmeasured
from tests.workshop.split.test_split_export import LABEL, LABELLED


def test_pictures_of_a_classifier_that_all_agree_show_little_until_there_are_many() -> None:
    assert decisions(np.zeros((1, 1000), np.float32)) == 1
    assert least_agreement([1.0] * 16, 1) == pytest.approx(1 / (1 + 1.645**2 / 16))
    assert least_agreement([1.0] * 267, 1) < 0.99 <= least_agreement([1.0] * 268, 1)
    assert least_agreement([1.0] * 399 + [0.0], 1) < 0.99


def test_places_are_decided_one_by_one_and_pictures_differ() -> None:
    assert decisions(np.zeros((1, 8, 8), np.int64)) == 64
    assert decisions(np.zeros((1, 5, 6, 7), np.float32)) == 42
    assert decisions(np.zeros((1, 1, 6, 7), np.float32)) == 42
    assert least_agreement([0.997] * 8, 10**5) == pytest.approx(0.997, abs=1e-3)
    assert least_agreement([0.999, 0.999, 0.999, 0.95], 10**5) < 0.97
    assert least_agreement([1.0], 10**5) == 0.0, "one picture shows nothing of others"


@pytest.mark.parametrize("count", [8, 560])
def test_a_classifier_s_default_is_the_finest_until_pictures_show_that_a_coarser_one_does(
    count: int, tmp_path: Path
) -> None:
    network = opened(RESIDUAL, tmp_path)
    plain = [np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8) for seed in range(4)]
    pictures, said = [plain[(number // 2) % 4] for number in range(count)], list[str]()
    cuts, feeding = [cut_at(network, ["b"])], Feeding.of(network, Normalisation())
    found = unmeasured(network)
    bundle = write_split_bundle(
        found, cuts, feeding, pictures, LABEL, Classes(), tmp_path / "bundle", bits=(16, 8), say=said.append
    )
    levels = bundle.manifest.cuts[0].levels
    assert [level.agreement for level in levels] == [1.0, 1.0]
    assert bundle.manifest.default_level == (0 if count == 8 else 1)
    assert any("do not show" in line for line in said) == (count == 8)


def test_a_segmenter_s_default_needs_few(tmp_path: Path) -> None:
    network = opened(LABELLED.replace("8,8]", "64,64]"), tmp_path)
    pictures = [np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8) for seed in range(16)]
    cuts, feeding = [cut_at(network, ["b"])], Feeding.of(network, Normalisation())
    classes = Classes(tuple("abcde"))
    found = unmeasured(network)
    bundle = write_split_bundle(
        found, cuts, feeding, pictures, LABEL, classes, tmp_path / "bundle", bits=(16, 12, 2), say=lambda _: None
    )
    assert bundle.manifest.default_level == 1
    least = [level.least_agreement for level in bundle.manifest.cuts[0].levels]
    assert least[1] >= 0.99 > least[2]
