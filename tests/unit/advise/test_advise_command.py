"""The command tries every way of the demo's bundle on a few of its samples."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.models.split.measurements import write_measurements
from tests.docs.blocks import ROOT

QUICK = ("advise", "--bundle", str(ROOT / "bundles/demo"), "--pictures", str(ROOT / "samples"), "--frames", "2")


def test_each_level_and_each_size_is_tried_and_one_is_chosen() -> None:
    done = CliRunner().invoke(app, [*QUICK, "--fps", "0.1", "--link-kbps", "1000", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [(way["sends"], way["choice"]) for way in found["ways"]] == [
        *(("features", level) for level in range(5)),
        *(("masks", divisor) for divisor in (1, 2, 4, 8)),
    ]
    features, masks = found["ways"][:5], found["ways"][5:]
    for ways in (features, masks):
        sizes = [way["frame_bytes"] for way in ways]
        assert sizes == sorted(sizes, reverse=True), "finest first"
    assert found["advice"] == {"send": "masks", "reason": "mask_unbeaten", "fits": True}


def test_people_see_which_way_and_why() -> None:
    done = CliRunner().invoke(app, [*QUICK, "--fps", "0.1", "--link-kbps", "0.4"])
    assert done.exit_code == 0, done.output
    (marked,) = (line for line in done.stdout.splitlines() if line.startswith("->"))
    assert "masks at 1/" in marked
    assert "the link does not carry features at the finest level" in done.stdout


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["advise", "--pictures", str(tmp_path)], catch_exceptions=True)
    assert done.exit_code != 0
    assert "holds no picture" in str(done.exception) + done.output


@pytest.mark.parametrize("option", ["--fps", "--link-kbps"])
def test_nothing_a_second_makes_no_sense(option: str) -> None:
    assert CliRunner().invoke(app, [*QUICK, option, "0"]).exit_code == 2


def test_a_link_that_nobody_answers_on_is_named() -> None:
    done = CliRunner().invoke(app, [*QUICK, "--redis-url", "redis://127.0.0.1:1/0"])
    assert done.exit_code != 0
    assert "does not answer" in str(done.exception) + done.output


def test_another_devices_measurement_stands_for_this_ones(tmp_path: Path) -> None:
    encoder = ROOT / "bundles/demo/encoder.int8.onnx"
    latency_ms = {"p50": 5_000.0, "max": 6_000.0}
    told = {"rss_peak_bytes": None, "energy_j": None, "slowdown": None, "latency_ms": latency_ms}
    measured = {"model": encoder.name, "sha256": sha256(encoder.read_bytes()).hexdigest(), "device": "ssh slow", **told}
    write_measurements(tmp_path / "slow.json", [measured])
    done = CliRunner().invoke(app, [*QUICK, "--fps", "5", "--measured", str(tmp_path / "slow.json"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert all(way["device_s"] > 5 for way in found["ways"]), "encoder, and what comes after it"
    assert found["advice"]["fits"] is False

    write_measurements(tmp_path / "other.json", [{**measured, "sha256": "0"}])
    done = CliRunner().invoke(app, [*QUICK, "--measured", str(tmp_path / "other.json")])
    assert "has no measurement of" in " ".join(done.output.split())
