"""Masks meet their labels whichever comes first, and figures are what they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from narrows.client.painting import Legend
from narrows.contract.errors import DatasetError
from narrows.contract.records.frame_journal import JournalLine
from narrows.contract.wire import FrameIdentity, MaskPacket, Skip
from narrows.models.evaluation import ConfusionMatrix
from narrows.ops.demo.options import DemoOptions
from narrows.ops.demo.overlays import KEPT, OverlayWriter, prepare_folder
from narrows.ops.demo.reel import Reel
from narrows.ops.demo.report import adds_up, exit_status, make_report
from narrows.ops.demo.stream_play import StreamPlay

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.fixture(scope="module")
def reel() -> Reel:
    return Reel.open(SAMPLES)


@pytest.fixture
def play(reel: Reel, tmp_path: Path) -> StreamPlay:
    classes = reel.dataset.classes
    matrix = ConfusionMatrix(len(classes.names), classes.ignore_index)
    return StreamPlay("cam-1", reel, matrix, OverlayWriter(tmp_path, "cam-1", Legend(), every=1))


def journal_line(reel: Reel, sequence: int) -> JournalLine:
    name = f"{sequence:05d}_{reel.dataset.names[sequence]}"
    return JournalLine(1, sequence, name, 10_000 + 200 * sequence, 1000, sent=True)


def perfect_mask(reel: Reel, sequence: int) -> MaskPacket:
    labels = reel.dataset.read(reel.dataset.names[sequence]).labels.copy()
    labels[labels == reel.dataset.classes.ignore_index] = 0
    identity = FrameIdentity(1, sequence)
    return MaskPacket(7, identity, 10_000 + 200 * sequence, 0, 1000, labels, np.zeros(11, np.uint32))


@pytest.mark.parametrize("mask_first", [True, False])
def test_a_perfect_mask_scores_one_whichever_comes_first(reel: Reel, play: StreamPlay, *, mask_first: bool) -> None:
    if mask_first:
        play.outcome(perfect_mask(reel, 3), received_ms=10_700)
        assert math.isnan(play.matrix.miou)
        play.journal(journal_line(reel, 3))
    else:
        play.journal(journal_line(reel, 3))
        play.outcome(perfect_mask(reel, 3), received_ms=10_700)
    assert play.matrix.miou == 1.0
    assert list(play.latencies_ms) == [100.0]
    assert play.account.adds_up


def test_a_mask_is_scored_against_its_own_picture(reel: Reel, play: StreamPlay) -> None:
    play.journal(journal_line(reel, 0))
    play.journal(journal_line(reel, 12))
    shown = perfect_mask(reel, 0)
    play.outcome(MaskPacket(7, FrameIdentity(1, 12), 0, 0, 9, shown.labels, shown.areas), received_ms=1.0)
    assert play.matrix.miou < 0.9


def test_the_rate_counts_whole_packets_between_the_first_and_last_capture(reel: Reel, play: StreamPlay) -> None:
    for sequence in range(5):
        play.journal(journal_line(reel, sequence))
    assert play.kbit_per_s == pytest.approx(1000 * 8 / 1000 * 5)


def test_frames_per_second_are_counted_by_when_masks_arrived(reel: Reel, play: StreamPlay) -> None:
    for sequence in range(9):
        play.outcome(perfect_mask(reel, sequence), received_ms=100_000 + 250 * sequence)
    play.clock = lambda: 103.0
    assert play.frames_per_s == pytest.approx(4.0)
    assert play.frames_per_s_over_all == pytest.approx(4.0)
    play.clock = lambda: 200.0
    assert play.frames_per_s == 0.0


def test_bits_per_pixel_count_the_frames_with_a_mask(reel: Reel, play: StreamPlay) -> None:
    for sequence in range(2):
        play.journal(journal_line(reel, sequence))
    play.outcome(perfect_mask(reel, 0), received_ms=10_050)
    play.outcome(Skip(FrameIdentity(1, 1), "stale"), received_ms=10_250)
    report = make_report([play], wall_s=1.0, triton={}, redis={})
    assert report["bits_per_pixel"] == pytest.approx(8000 / (480 * 360), abs=1e-5)
    assert (report["frames_sent"], report["masks_received"], report["frames_dropped"]) == (2, 1, {"stale": 1})
    assert report["latency_ms"] == {"p50": 50.0, "p95": 50.0, "p99": 50.0}
    assert adds_up(report)


def test_the_report_says_how_many_masks_cameras_made(reel: Reel, play: StreamPlay) -> None:
    for sequence, kind in enumerate(("masks", "features", "audit")):
        play.journal(replace(journal_line(reel, sequence), kind=kind))
        play.outcome(perfect_mask(reel, sequence), received_ms=10_700)
    report = make_report([play, play], wall_s=1.0, triton={}, redis={})
    assert report["masks_made_by"] == {"camera": 4, "cloud": 2}
    assert report["per_stream"]["cam-1"]["masks_made_by"] == {"camera": 2, "cloud": 1}


def test_a_report_with_a_missing_frame_does_not_add_up(reel: Reel, play: StreamPlay) -> None:
    play.journal(journal_line(reel, 0))
    report = make_report([play], wall_s=1.0, triton={}, redis={})
    assert not adds_up(report)
    assert exit_status(report, cut_short=True) == 1
    assert report["faults"] == ["cam-1: 1 frame sent and never ended: sequence 0"]
    assert report["miou"] is None


def test_a_whole_demo_ends_with_0_and_a_bounded_one_that_was_cut_short_with_130(play: StreamPlay) -> None:
    report = make_report([play], wall_s=1.0, triton={}, redis={})
    assert exit_status(report, cut_short=False) == 0
    assert exit_status(report, cut_short=True) == 130


def test_the_latest_overlays_are_kept_and_earlier_demos_are_cleared(
    reel: Reel, play: StreamPlay, tmp_path: Path
) -> None:
    for sequence in range(KEPT + 2):
        play.journal(journal_line(reel, sequence))
        play.outcome(perfect_mask(reel, sequence), received_ms=0.0)
    written = sorted(tmp_path.glob("*.png"))
    assert written == play.overlays.written
    assert [path.name.split("-")[2] for path in written] == [f"{sequence:06d}" for sequence in range(2, KEPT + 2)]
    with Image.open(written[0]) as overlay:  # noqa: TID251
        assert overlay.size == (960, 360)
    (tmp_path / "mine.png").touch()
    assert [path.name for path in prepare_folder(tmp_path).iterdir()] == ["mine.png"]


def test_every_camera_plays_the_whole_reel_from_a_place_of_its_own(reel: Reel, tmp_path: Path) -> None:
    played = []
    for camera in range(3):
        reel.lay_out(tmp_path / str(camera), camera, 3)
        names = [path.stem for path in sorted((tmp_path / str(camera)).iterdir())]
        played.append([reel.sample(name).name for name in names])
    assert all(sorted(names) == sorted(reel.dataset.names) for names in played)
    assert len({names[0] for names in played}) == 3


def test_a_name_that_is_no_sample_is_a_named_error(reel: Reel) -> None:
    with pytest.raises(DatasetError, match="no picture of this reel"):
        reel.sample("00000_elsewhere")


def test_samples_without_a_split_are_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="SPLIT"):
        Reel.open(tmp_path)


def test_cameras_are_named_from_one() -> None:
    assert DemoOptions(streams=3).stream_ids == ("cam-1", "cam-2", "cam-3")
