"""Bad pictures get worse with strength and are the same in every run; what the cells come to is arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy.camera_masks import BESIDE_BYTES
from benchmarks.rate.codecs import Coded, Setting, bits_of
from benchmarks.robustness import __main__ as robustness
from benchmarks.robustness import contenders
from benchmarks.robustness.cells import _worsened
from benchmarks.robustness.claims import claims
from benchmarks.robustness.contenders import PICTURE_QUALITIES
from benchmarks.robustness.corruptions import KINDS, STRENGTHS, Picture, rotated
from narrows.models.dataset import ClassList, LabelledPicture


@pytest.fixture
def street() -> Picture:
    """A sky above, a road below, a bright pole: 120x160."""
    picture = np.full((120, 160, 3), (150, 180, 210), np.uint8)
    picture[60:] = (90, 90, 95)
    picture[30:100, 80:84] = (220, 210, 60)
    return picture


def damage(before: Picture, after: Picture) -> float:
    return float(np.abs(before.astype(int) - after.astype(int)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_picture_is_a_picture_of_the_same_size(kind: str, street: Picture) -> None:
    for strength in STRENGTHS:
        bad = KINDS[kind](street, strength, np.random.default_rng(1))
        assert (bad.shape, bad.dtype) == (street.shape, street.dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_the_strongest_does_the_most_damage(kind: str, street: Picture) -> None:
    by_strength = [
        np.mean([damage(street, KINDS[kind](street, strength, np.random.default_rng(seed))) for seed in range(5)])
        for strength in (1, 3, 5)
    ]
    assert 0 < by_strength[0] < by_strength[1] < by_strength[2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_picture(kind: str, street: Picture) -> None:
    once, again = (KINDS[kind](street, 3, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(once, again)


def test_what_is_turned_takes_its_labels_along() -> None:
    labels = np.zeros((120, 160), np.uint8)
    labels[50:70, 70:90] = 1
    picture = np.repeat(labels[..., None] * 255, 3, axis=2)
    turned = KINDS["turned"](picture, 5, np.random.default_rng(3))
    along = rotated(labels, 5, np.random.default_rng(3), fill=9, resample=Image.Resampling.NEAREST)
    inside = along != 9
    assert np.mean((turned[..., 0] > 127)[inside] == (along == 1)[inside]) > 0.99
    assert not inside.all()


def cell(kind: str, strength: int, features: float, picture: float, bits: float) -> dict[str, object]:
    def score(miou: float) -> dict[str, float]:
        return {"miou": miou, "bits_per_pixel": bits}

    ways = {"features_1": score(features), "camera_mask": score(features + 0.01), "picture": score(picture)}
    return {"kind": kind, "strength": strength, **ways}


def test_what_the_cells_come_to() -> None:
    found = claims(
        [
            cell("clean", 0, 0.8, 0.5, 0.04),
            cell("noise", 1, 0.6, 0.5, 0.05),
            cell("noise", 3, 0.4, 0.45, 0.08),
            cell("noise", 5, 0.2, 0.1, 0.4),
        ]
    )
    assert found["kept_share"] == pytest.approx(0.5)
    assert "kept_share_unlike_training" not in found
    assert found["kept_share_picture"] == pytest.approx(0.7)
    assert found["worst_over_picture"] == pytest.approx(-5)
    assert found["mean_over_camera_mask"] == pytest.approx(-1)
    assert found["worst_bits_ratio"] == pytest.approx(2)


def test_kinds_that_no_training_shows_are_told_of_alone() -> None:
    found = claims([cell("clean", 0, 0.8, 0.5, 0.04), cell("noise", 1, 0.6, 0.5, 0.05), cell("fog", 1, 0.2, 0.5, 0.05)])
    assert found["kept_share_unlike_training"] == pytest.approx(0.25)


@pytest.mark.parametrize(("kinds", "written"), [(("noise",), []), (tuple(KINDS), ["robustness"])])
def test_a_part_of_the_table_is_not_written_over_the_whole(
    kinds: tuple[str, ...], written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    some = [cell("clean", 0, 0.8, 0.5, 0.04), cell("noise", 3, 0.6, 0.5, 0.05)]
    both = [each | {"features_3": each["features_1"]} for each in some]
    monkeypatch.setattr(robustness, "_judged", lambda *_: [])
    monkeypatch.setattr(robustness, "cells", lambda *_: iter(both))
    monkeypatch.setattr(robustness, "write_result", lambda name, *_: found.append(name))
    monkeypatch.setattr("sys.argv", ["robustness", "--kinds", *kinds])
    robustness.main()
    assert found == written


def test_a_turned_frame_is_judged_by_turned_labels_and_no_other_kind_moves_them(street: Picture) -> None:
    classes = ClassList(("off", "on"), 9, (160, 120), ((0, 0, 0),) * 2)
    labels = (street[..., 0] > 200).astype(np.uint8)
    shown = np.repeat(labels[..., None] * 255, 3, axis=2)
    bad = _worsened(LabelledPicture("frame", shown, labels), "turned", 5, classes)
    known = bad.labels != classes.ignore_index
    assert not known.all()
    assert np.mean((bad.picture[..., 0] > 127)[known] == (bad.labels == 1)[known]) > 0.98
    for kind in KINDS:
        if kind != "turned":
            assert np.array_equal(_worsened(LabelledPicture("frame", shown, labels), kind, 3, classes).labels, labels)


@pytest.mark.parametrize(("least_bits", "quality"), [(1, 0), (16_000, 8), (10**9, PICTURE_QUALITIES[-1])])
def test_the_picture_rival_has_at_least_as_many_bits_where_its_codec_has_them(
    least_bits: int, quality: int, street: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Codec:
        def code(self, picture: Picture, setting: Setting) -> Coded:
            asked.append(setting.quality)
            return Coded(150 * setting.quality, picture)

    monkeypatch.setattr(contenders, "AVIF", Codec())
    coded = contenders._of_at_least(least_bits, [street, street], 0.5)
    assert asked[-1] == quality
    assert len(coded) == 2
    assert sum(bits_of(each.size_bytes) for each in coded) >= min(least_bits, 2 * 8 * 150 * quality)


def test_a_mask_made_at_the_camera_pays_for_its_packet(street: Picture) -> None:
    judge = object.__new__(contenders.Judge)
    judge._encoder = SimpleNamespace(fit=lambda picture: picture, latent=lambda picture: picture)  # type: ignore[assignment]
    judge._masks = SimpleNamespace(make=lambda _: SimpleNamespace(labels=street[..., 0], payload=b"12345"))  # type: ignore[assignment]
    found = judge.camera_masks([street, street])
    assert found.bits == 2 * 8 * (5 + BESIDE_BYTES)
    assert len(found.masks) == 2
