"""What a profile says of each cut, and what measures it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from narrows.cli.split import device_named, parse_shape, split
from narrows.contract.errors import ConfigError, ProfilingFailed
from narrows.models.split.cuts import cut_at
from narrows.models.split.device import PROBE, Effort, Local, Remote
from narrows.models.split.memory import head_memory_bytes
from narrows.models.split.probe import read_energy, spent
from narrows.models.split.profile import (
    WATTS_A_CORE,
    Profile,
    as_record,
    coding_speed,
    measure_nodes,
    named_by_place,
    profile,
)
from tests.workshop.split.networks import LIGHT, RESIDUAL, Told, opened, written

SHORT = Effort(runs=3, seconds=0.0)


FUSED = [("a_nchwc", 1000.0), ("reorder", 500.0), ("fused narrows_2", 1500.0), ("narrows_4_x", 1000.0)]


def recorded(found: Profile) -> dict[str, Any]:
    return as_record(found, coding_speed(found))


def test_times_count_where_the_fused_node_stands_and_sum_to_a_run(tmp_path: Path) -> None:
    times = measure_nodes(opened(RESIDUAL, tmp_path), Told(FUSED), SHORT)
    assert times.ms == (3.0, 0.0, 3.0, 0.0, 2.0, 0.0, 0.0, 0.0)
    assert times.whole_ms == 8.0


def test_a_tensor_that_is_called_as_nodes_are_here_is_no_place(tmp_path: Path) -> None:
    text = RESIDUAL.replace("a = Conv", "narrows_77 = Conv").replace("Relu (a)", "Relu (narrows_77)")
    network = opened(text, tmp_path)
    assert named_by_place(network).graph.node[2].name == "narrows_narrows_2"
    times = measure_nodes(network, Told([("narrows_77_nchwc", 1000.0), ("narrows_narrows_2", 3000.0)]), SHORT)
    assert times.ms == (2.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_run_without_events_is_shared_out_evenly(tmp_path: Path) -> None:
    assert measure_nodes(opened(RESIDUAL, tmp_path), Told([]), SHORT).ms == (1.0,) * 8


def test_the_head_is_timed_on_the_device_and_the_tail_on_the_server(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    record = recorded(profile(network, Told(FUSED), Told(FUSED, whole_ms=0.8), SHORT))
    by_names = {tuple(cut["tensors"]): cut for cut in record["cuts"]}
    cut = by_names["b", "c"]
    assert (cut["head_ms"], cut["tail_ms"]) == (6.0, pytest.approx(0.2))
    assert cut["bytes"] == {"native": 512, "16": 256, "8": 128, "6": 96, "4": 64, "3": 48, "2": 32}
    assert cut["head_operators"] == ["Conv", "Relu"]
    assert cut["head_weights_bytes"] == 4 * (4 * 27 + 16)
    assert record["device_only"]["device_ms"] == 8.0
    assert record["server_only"] == {"server_ms": pytest.approx(0.8), "input_bytes": 3 * 64 * 4}


def test_energy_is_measured_or_said_to_be_an_estimate(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    record = recorded(profile(network, Told(FUSED, energy_j=0.016), None, SHORT))
    assert record["energy_source"] == "rapl"
    assert {tuple(cut["tensors"]): cut["head_energy_mj"] for cut in record["cuts"]}["b", "c"] == pytest.approx(12.0)
    record = recorded(profile(network, Told(FUSED), None, SHORT))
    assert record["energy_source"].startswith("estimate")
    assert record["device_only"]["energy_mj"] == pytest.approx(8e-3 * WATTS_A_CORE * 1e3)


def test_memory_is_what_lives_at_once(tmp_path: Path) -> None:
    text = RESIDUAL.replace("strides = [2,2]", "strides = [1,1]")
    network = opened(text, tmp_path)
    picture, plane = 3 * 64 * 4, 4 * 64 * 4
    assert head_memory_bytes(network, cut_at(network, ["a"]).head, ["a"]) == picture + plane
    assert head_memory_bytes(network, cut_at(network, ["b", "d"]).head, ["b", "d"]) == 3 * plane
    other = opened(text.replace("Add (d, b)", "Add (d, c)"), tmp_path)  # b is read no more once c is there
    assert head_memory_bytes(other, cut_at(other, ["c", "d"]).head, ["c", "d"]) == 2 * plane


def test_counters_of_packages_are_read_and_wrap(tmp_path: Path) -> None:
    for zone, name, count in (("intel-rapl:0", "package-0", 990), ("intel-rapl:0:0", "core", 5), ("x:1", "psys", 7)):
        (tmp_path / zone).mkdir()
        for file, value in (("name", name), ("energy_uj", count), ("max_energy_range_uj", 999)):
            (tmp_path / zone / file).write_text(f"{value}\n")
    before = read_energy(tmp_path)
    assert before == {"intel-rapl:0": (990, 999)}
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("20\n")
    assert spent(before, read_energy(tmp_path)) == pytest.approx(30e-6)
    assert spent(read_energy(tmp_path / "none"), {}) is None


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(split, ["profile", *words], catch_exceptions=False)
    return result.exit_code, result.output


def test_the_command_measures_here_and_writes_every_cut(tmp_path: Path) -> None:
    model = LIGHT / "light_squeezenet.onnx"
    code, shown = command(str(model), "--json", str(tmp_path / "out.json"), "--runs", "3", "--seconds", "0")
    assert code == 0
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["network"] == "light_squeezenet"
    assert len(record["cuts"]) == 65
    assert f"{len(record['cuts'])} cuts" in shown
    whole = record["device_only"]["device_ms"]
    for cut in record["cuts"]:
        assert 0 <= cut["head_ms"] <= whole
        assert cut["head_ms"] + cut["tail_ms"] == pytest.approx(whole)
    assert sum(node["device_ms"] > 0 for node in record["nodes"]) >= 35  # the others are fused into these


def test_a_network_without_a_cut_is_served_whole(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,4] x) => (float[1,4] y) { y = Relu (x) }'
    code, shown = command(str(written(text, tmp_path / "one.onnx")), "--runs", "1", "--seconds", "0")
    assert code == 0
    assert "serve it whole" in shown


def test_a_quota_slows_the_device() -> None:
    with device_named("quota 0.2") as device:
        found = device.measure((LIGHT / "light_squeezenet.onnx").read_bytes(), Effort(runs=3, seconds=1.0))
    assert sum(found.whole_ms) / len(found.whole_ms) > 2e3 * found.processor_s


def test_a_device_may_be_written_in_two_words(tmp_path: Path) -> None:
    path = written(RESIDUAL, tmp_path / "small.onnx")
    with pytest.raises(ConfigError, match="'quota nothing' is no device"):
        command(str(path), "--device", "quota", "nothing")


@pytest.mark.parametrize(
    "text", ["", "quota", "quota 0", "quota 0.0009", "quota many", "ssh", "ssh -oProxyCommand=x", "gpu", "local x"]
)
def test_other_devices_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no device"), device_named(text):
        pass


def test_a_device_is_written_with_a_space_or_a_colon() -> None:
    for text in ("ssh camera-3", "ssh:camera-3"):
        with device_named(text) as device:
            assert device == Remote("camera-3")


def test_a_device_may_have_its_python_in_an_environment() -> None:
    with device_named("ssh camera-3 /opt/narrows/.venv/bin/python") as device:
        assert device == Remote("camera-3", "/opt/narrows/.venv/bin/python")


def test_a_shape_is_written_with_crosses_or_commas() -> None:
    assert parse_shape("1x3x4x5") == parse_shape("1,3,4,5") == (1, 3, 4, 5)
    with pytest.raises(ConfigError, match="is no shape"):
        parse_shape("1x3xh")


def test_a_device_that_cannot_measure_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfilingFailed, match="failed"):
        Local().measure(b"no network", SHORT)
    with pytest.raises(ProfilingFailed, match="cannot be run"):
        Local(("/nowhere/launcher",)).measure(b"", SHORT)
    (tmp_path / "talk").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "talk").chmod(0o755)
    with pytest.raises(ProfilingFailed, match="no measurement"):
        Local((str(tmp_path / "talk"),)).measure(b"", SHORT)


def test_the_probe_needs_nothing_of_this_package(tmp_path: Path) -> None:
    shutil.copy(PROBE, tmp_path / "probe.py")
    path = written(RESIDUAL, tmp_path / "small.onnx")
    done = subprocess.run(
        [sys.executable, "probe.py", str(path), "--runs=2", "--seconds=0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(json.loads(done.stdout)["whole_ms"]) == 2


@pytest.mark.skipif(os.getuid() != 0, reason="sshd for one connection runs as root")
def test_a_device_is_measured_through_ssh_and_left_as_it_was(ssh_server: str, tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    times = measure_nodes(network, Remote(ssh_server, sys.executable), SHORT)
    assert times.whole_ms > 0
    with pytest.raises(ProfilingFailed, match="ssh"):
        measure_nodes(network, Remote(ssh_server, "python-of-another-age"), SHORT)
