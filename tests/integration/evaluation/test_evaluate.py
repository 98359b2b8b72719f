import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from narrows.contract.bundle import Bundle
from narrows.contract.errors import BundleError, PacketCorrupt
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.evaluate import evaluate_bundle
from narrows.models.evaluation.in_process import InProcessDecoder
from narrows.ops.camera_packets import camera
from narrows.ops.demo.stack import Stack
from narrows.ops.stack_decoder import StackDecoder

ROOT = Path(__file__).parents[3]
CAMVID = Path(os.environ.get("NARROWS_DATA", ROOT.parent / "shared" / "data")) / "camvid"


@pytest.fixture(scope="module")
def samples() -> FolderDataset:
    return FolderDataset.open(ROOT / "samples", "val")


@pytest.fixture(scope="module")
def stack(demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack.start(demo_bundle, tmp_path_factory.mktemp("stack"), Console(file=io.StringIO())) as stack:
        yield stack


def packets_of(bundle: Bundle, samples: FolderDataset) -> list[bytes]:
    encode = camera(bundle, bundle.manifest.finest_level_within(0.1), bundle.encoder_path)
    return [encode(sample.picture) for sample in samples]


def test_the_stack_answers_pixel_for_pixel_like_the_decoder_in_this_process(
    demo_bundle: Bundle, samples: FolderDataset, stack: Stack
) -> None:
    packets = packets_of(demo_bundle, samples)
    here = list(InProcessDecoder(demo_bundle)(packets))
    there = list(StackDecoder(stack.redis.url)(packets))
    assert len(there) == len(samples) == len(here)
    for mine, theirs in zip(here, there, strict=True):
        assert np.array_equal(mine, theirs)


def test_the_command_writes_what_it_prints(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [
        sys.executable,
        "-m",
        "narrows.cli",
        "evaluate",
        "--data",
        "samples",
        "--split",
        "val",
        "--json",
        str(out),
    ]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    result = json.loads(printed)
    assert result == json.loads(out.read_text())
    assert result["frames"] == 24
    assert {"miou", "per_class_iou", "pixel_accuracy", "bits_per_pixel"} <= result.keys()
    assert result["bits_per_pixel"] <= 0.1


def test_a_level_that_the_bundle_lacks_is_named() -> None:
    command = [sys.executable, "-m", "narrows.cli", "evaluate", "--data", "samples", "--rate", "9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "rate level 9" in done.stderr
    assert "Traceback" not in done.stderr


def test_coarser_levels_cost_fewer_bits(demo_bundle: Bundle, samples: FolderDataset) -> None:
    levels = range(len(demo_bundle.manifest.levels))
    rates = [
        evaluate_bundle(
            demo_bundle, samples, level, encode=camera(demo_bundle, level, demo_bundle.encoder_path)
        ).bits_per_pixel
        for level in levels
    ]
    assert rates == sorted(rates, reverse=True)


def test_a_damaged_packet_is_refused_by_name(demo_bundle: Bundle, samples: FolderDataset) -> None:
    damaged = bytearray(packets_of(demo_bundle, samples)[0])
    damaged[-1] ^= 1
    with pytest.raises(PacketCorrupt):
        next(InProcessDecoder(demo_bundle)([bytes(damaged)]))


def test_data_of_other_classes_cannot_judge_a_bundle(demo_bundle: Bundle, tmp_path: Path) -> None:
    classes = json.loads((ROOT / "samples" / "classes.json").read_text())
    classes["classes"][0] = "heaven"
    (tmp_path / "classes.json").write_text(json.dumps(classes))
    (tmp_path / "val.txt").write_text("x")
    with pytest.raises(BundleError, match="heaven"):
        evaluate_bundle(demo_bundle, FolderDataset.open(tmp_path, "val"), 0, encode=lambda _picture: b"")


@pytest.mark.skipif(not CAMVID.is_dir(), reason="CamVid is not at NARROWS_DATA: the accuracy promise is not checked")
def test_the_demo_bundle_keeps_its_promise_on_camvid_validation(demo_bundle: Bundle) -> None:
    level = demo_bundle.manifest.finest_level_within(0.1)
    validation = FolderDataset.open(CAMVID, "val")
    result = evaluate_bundle(
        demo_bundle, validation, level, encode=camera(demo_bundle, level, demo_bundle.encoder_path)
    )
    assert result.frames == 101
    assert result.miou >= 0.55
    assert result.bits_per_pixel <= 0.1


def test_progress_counts_every_sample_of_the_split(demo_bundle: Bundle, samples: FolderDataset) -> None:
    told: list[tuple[int, int]] = []
    encode = camera(demo_bundle, 0, demo_bundle.encoder_path)
    evaluate_bundle(demo_bundle, samples, 0, encode=encode, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, len(samples)) for n in range(1, len(samples) + 1)]
