"""The demo's own network at the frontier: its mask, its features, and what it reads of pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.frontier import pictures as sent_pictures
from benchmarks.frontier.coding import DIVISORS, PACKET_BYTES
from benchmarks.frontier.data import Parts, read_parts
from benchmarks.frontier.figures import render
from benchmarks.frontier.full_size import CELLS, score_full_size
from benchmarks.frontier.margins import Contender, masks_over
from benchmarks.frontier.pictures import CODECS, judge_pictures, write_coded
from benchmarks.frontier.plan import Plan
from benchmarks.frontier.plot import draw
from benchmarks.frontier.rows import JudgedPictures, picture_contenders, picture_rows
from benchmarks.frontier.score import Scored
from narrows.contract.errors import WeightsMismatch
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.training.config import TrainingConfig
from narrows.models.training.run import CHECKPOINT, Run

PLAN = Plan(batch=2, leave_out="b", steps=4, check_share=0.25)


@pytest.fixture(scope="module")
def parts(data: Path) -> Parts:
    return read_parts(data, PLAN)


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    torch.manual_seed(1)
    return JointNetwork(NetworkShape(classes=2, latent_channels=48, levels=5)).eval()


def test_the_demos_camera_sends_its_mask_at_each_size_or_features_at_each_level(
    network: JointNetwork, parts: Parts
) -> None:
    ways = [score_full_size(network, cell, parts) for cell in CELLS]
    assert [list(way) for way in ways] == [
        [f"1/{divisor}" for divisor in DIVISORS],
        [f"level {level}" for level in range(5)],
    ]
    for scored in (each for way in ways for each in way.values()):
        assert scored.counts.sum() == len(parts.judged) * 96 * 64
        assert (scored.frame_bytes > PACKET_BYTES).all()


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: str(codec.name))
def test_what_a_network_is_tuned_on_went_through_the_codec(
    codec: sent_pictures.Codec, data: Path, parts: Parts, tmp_path: Path
) -> None:
    seen = write_coded(tmp_path / "coded", data / "classes.json", codec, parts)
    assert seen.names == tuple(sample.name for sample in parts.train)
    for sample, before in zip(seen, parts.train, strict=True):
        assert np.array_equal(sample.labels, before.labels)
        assert 0 < np.abs(sample.picture.astype(int) - before.picture.astype(int)).mean() < 60


def test_pictures_are_judged_untuned_and_tuned_once(
    data: Path, parts: Parts, network: JointNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_pictures, "SCALES", (1.0,))
    monkeypatch.setattr(sent_pictures, "CODECS", [replace(each, qualities=(28,)) for each in CODECS])
    config = TrainingConfig(data=data, split="train", pretrained=None)
    (tmp_path / "fold").mkdir()
    Run.begin(network, config).save(tmp_path / "fold" / CHECKPOINT)
    told = (tmp_path / "run", tmp_path / "fold", data, parts, PLAN)
    ways = judge_pictures(*told, epochs=1)
    assert list(ways) == ["AVIF x1 q28", "AVIF x1 q28, tuned", "H.264 x1 q28", "H.264 x1 q28, tuned"]
    assert np.array_equal(ways["AVIF x1 q28"].frame_bytes, ways["AVIF x1 q28, tuned"].frame_bytes)
    assert not np.array_equal(ways["AVIF x1 q28"].counts, ways["AVIF x1 q28, tuned"].counts)
    other = JointNetwork(network.shape).eval()
    Run.begin(other, config).save(tmp_path / "fold" / CHECKPOINT)
    anew = judge_pictures(*told, epochs=1)
    assert not any(np.array_equal(anew[way].counts, ways[way].counts) for way in ways), "the network is another"
    (tmp_path / "fold" / CHECKPOINT).unlink()
    assert list(judge_pictures(*told)) == list(ways), "kept scores need no network"


def test_without_the_network_pictures_are_refused_by_name(data: Path, parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=r"checkpoint\.pt is missing"):
        judge_pictures(tmp_path / "run", tmp_path / "none", data, parts, PLAN)


def frames(share: float) -> Scored:
    """So much of either class is right, in each of 40 frames of 800 bytes."""
    right = round(1000 * share)
    counts = np.array([[[right, 1000 - right], [1000 - right, right]]] * 40, dtype=np.int64)
    return Scored(np.full(40, 800), counts)


def test_masks_stand_beside_the_best_picture_within_the_bits(tmp_path: Path) -> None:
    judged = JudgedPictures(2_600_000_000, 70.0, {"AVIF a": frames(0.7), "AVIF b": frames(0.8)})
    fine = {"edge": [Contender("m", 0.01, (frames(0.9),))]}
    over = masks_over(picture_contenders(judged, 160_000), {0.2: fine, 0.4: {}})
    assert list(over) == ["0.2"]
    assert over["0.2"]["picture"] == "AVIF b"
    assert over["0.2"]["points"] == pytest.approx(100 * (0.9 / 1.1 - 0.8 / 1.2))
    assert over["0.2"]["at_its_bits"] is None, "no picture is as small as the mask"
    large = masks_over(picture_contenders(judged, 160_000), {0.2: {"edge": [Contender("m", 0.045, (frames(0.9),))]}})
    assert large["0.2"]["at_its_bits"]["picture"] == "AVIF b"
    assert masks_over(picture_contenders(judged, 1_000), {0.2: fine}) == {}, "6.4 bits per pixel are too many"
    assert masks_over(picture_contenders(None, 1), {0.2: fine}) == {}
    rows = picture_rows(judged, 160_000)
    assert [(row["way"], row["bits_per_pixel"], row["camera_gmac"]) for row in rows] == [
        ("AVIF a", 0.04, 0),
        ("AVIF b", 0.04, 0),
    ]
    result = {
        "rows": rows,
        "bits_at_most": 0.05,
        "plan": {"steps": 1000},
        "frames": 40,
        "margins": {"0.2": {"points": 1.0, "interval": [0.5, 1.5], "send": "mask"}},
        "over_pictures": over,
    }
    assert "| 0.2 | +1.0 | +0.5 to +1.5 | mask | +15.2 | +15.2 to +15.2 |  |  |" in render(result)
    assert draw(result, tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
