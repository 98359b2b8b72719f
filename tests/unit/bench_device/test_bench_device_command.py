"""The command measures networks of the demo's bundle, and what it writes is what others read."""

from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.contract.errors import ProfilingFailed, RecordError
from narrows.models.split.device import PROBE, Effort, Measured
from narrows.models.split.measurements import read_measurements, write_measurements
from orchestrator.servers import cpu_quota
from tests.docs.blocks import ROOT

ENCODER, DECODER = (ROOT / "bundles/demo" / name for name in ("encoder.int8.onnx", "camera_decoder.int8.onnx"))
SHORT = ("--runs", "2", "--seconds", "0")


def record(network: Path, p50_ms: float) -> dict[str, Any]:
    latency_ms = {"p50": p50_ms, "p90": p50_ms, "p95": p50_ms, "p99": p50_ms, "max": p50_ms}
    told = {"rss_peak_bytes": None, "energy_j": None, "slowdown": 1.5, "latency_ms": latency_ms}
    return {"model": network.name, "sha256": sha256(network.read_bytes()).hexdigest(), "device": "ssh camera", **told}


def test_what_the_command_writes_is_read_again_by_the_networks_digest(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    done = CliRunner().invoke(app, ["bench-device", str(DECODER), *SHORT, "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert "QLinearConv" in done.stdout
    found = read_measurements(path)
    there = found[sha256(DECODER.read_bytes()).hexdigest()]
    assert (there.model, there.device) == (DECODER.name, "local")
    assert there.latency_ms["max"] >= there.latency_ms["p50"] > 0
    assert there.rss_peak_bytes is not None


class Once:
    """A device that measures one network and then is gone."""

    def __init__(self) -> None:
        self._asked = 0

    def measure(self, model: bytes, effort: Effort) -> Measured:
        self._asked += 1
        if self._asked > 1:
            raise ProfilingFailed("the device is gone")
        told = {"processor_s": 0.005, "frames_per_s": 200.0, "windows": [], "operators": {}, "rss_before_bytes": None}
        told |= {"machine": "m", "runtime": "1"}
        return Measured("1", (5.0,), 0.005, None, (), record=record(ENCODER, 5.0) | told)


def test_a_network_that_fails_costs_no_other_its_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may have taken ten minutes."""
    monkeypatch.setattr("narrows.cli.split.device_named", lambda _: nullcontext(Once()))
    path = tmp_path / "measured.json"
    done = CliRunner().invoke(app, ["bench-device", str(ENCODER), str(DECODER), "--minutes", "10", "--json", str(path)])
    assert done.exit_code == 1
    assert "the device is gone" in done.output
    assert "measuring encoder.int8.onnx, at least 600 s" in done.output
    assert [each.model for each in read_measurements(path).values()] == [ENCODER.name]


@pytest.fixture
def _no_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise cpu_quota.QuotaUnavailable("none here")

    monkeypatch.setattr(cpu_quota, "find_hierarchy", refuse)


@pytest.mark.usefixtures("_no_control_groups")
def test_without_control_groups_a_quota_holds_all_the_same() -> None:
    given = ["bench-device", str(DECODER), "--device", "quota 0.2", "--runs", "20", "--seconds", "0"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "no control group (none here)" in done.output
    processor_ms, runs_a_s = (
        float(done.stdout.split(mark)[0].split()[-1]) for mark in (" ms of processor", " a second")
    )
    assert 1e3 / runs_a_s > 2 * processor_ms  # five times, were the machine idle and the runs many


def test_the_file_to_copy_is_the_probe(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench-device", "--write-probe", str(tmp_path / "p.py")])
    assert done.exit_code == 0
    assert (tmp_path / "p.py").read_bytes() == PROBE.read_bytes()


def test_no_network_and_one_that_is_missing_are_named() -> None:
    for words, said in (((), "no network was named"), (("/nowhere.onnx",), "/nowhere.onnx is no file")):
        done = CliRunner().invoke(app, ["bench-device", *words])
        assert done.exit_code != 0
        assert said in str(done.exception) + done.output


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"latency_ms": 3}', '{"latency_ms": {"p50": 0}}'])
def test_a_line_that_is_no_measurement_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "measured.json"
    write_measurements(path, [record(ENCODER, 5.0)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecordError, match=r"measured\.json:2"):
        read_measurements(path)


@pytest.mark.parametrize(
    "change",
    [
        {"latency_ms": {"p50": "nan"}},
        {"latency_ms": {"p50": 5.0, "p99": -1}},
        {"processor_s": 0},
        {"processor_s": -0.01},
        {"processor_s": "inf"},
        {"nodes": [["conv", -3.0]]},
        {"nodes": [["conv", "nan"]]},
        {"energy_j": -1},
        {"rss_peak_bytes": -1},
        {"slowdown": 0},
    ],
)
def test_figures_that_no_device_has_are_no_measurement(change: dict[str, object], tmp_path: Path) -> None:
    """A search adds them up: what takes less than no time would win."""
    write_measurements(tmp_path / "m", [record(ENCODER, 5.0) | {"processor_s": 0.01, "nodes": [["conv", 0.0]]}])
    assert len(read_measurements(tmp_path / "m")) == 1
    write_measurements(tmp_path / "m", [record(ENCODER, 5.0) | {"processor_s": 0.01} | change])
    with pytest.raises(RecordError, match=r"m:1 is no measurement"):
        read_measurements(tmp_path / "m")


@pytest.mark.parametrize("device", ["quota", "quota x", "quota 0", "quota nan"])
def test_a_quota_that_is_none_is_no_measurement(device: str, tmp_path: Path) -> None:
    """What a frame takes of it is divided by it, later."""
    write_measurements(tmp_path / "m", [record(ENCODER, 5.0) | {"device": device, "processor_s": 0.01}])
    with pytest.raises(RecordError, match=r"m:1 is no measurement"):
        read_measurements(tmp_path / "m")


@pytest.mark.parametrize(("device", "ms"), [("local", 10), ("quota 0.25", 40), ("quota:0.25", 40), ("quota 4", 10)])
def test_a_frame_takes_longer_on_a_share_and_no_shorter_on_several_cores(
    device: str, ms: float, tmp_path: Path
) -> None:
    """What one thread works one core does, however many it may have."""
    write_measurements(tmp_path / "m", [record(ENCODER, 5.0) | {"device": device, "processor_s": 0.01}])
    assert [each.busy_ms for each in read_measurements(tmp_path / "m").values()] == [pytest.approx(ms)]


def test_a_file_that_is_missing_or_empty_says_what_writes_it(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name in ("none", "empty"):
        with pytest.raises(RecordError, match="bench-device"):
            read_measurements(tmp_path / name)


def test_of_two_measurements_the_later_counts(tmp_path: Path) -> None:
    write_measurements(tmp_path / "m", [record(ENCODER, 5.0), record(ENCODER, 7.0)])
    assert [each.latency_ms["p50"] for each in read_measurements(tmp_path / "m").values()] == [7.0]
