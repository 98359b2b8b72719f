"""The script for a machine with a GPU: it names what is missing, measures the rest, and ends in time."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import run
from narrows.contract.bundle import Bundle

ABOUT = {"bundle": "00ff", "latent": [48, 23, 30], "levels": 5}
DEMO = Path(__file__).parents[3] / "bundles" / "demo"


class Clock:
    """Each look takes as long as the next number says."""

    def __init__(self, *steps: float) -> None:
        self.now, self.steps = 0.0, list(steps)

    def __call__(self) -> float:
        self.now += self.steps.pop(0) if self.steps else 0.0
        return self.now


def test_runs_are_timed_until_the_seconds_are_over() -> None:
    calls: list[int] = []
    taken = run.time_runs(lambda: calls.append(1), 10, Clock(0, *[0.25] * 100))
    assert set(taken) == {0.25}
    assert len(calls) == run.WARM_UPS + len(taken)
    assert 0.5 * len(taken) <= 10 <= 0.75 * len(taken)  # two looks a run, and a third where the end is looked for


def test_a_slow_way_is_run_a_few_times_all_the_same() -> None:
    taken = run.time_runs(lambda: None, 0.1, Clock(0, *[10.0] * 40))
    assert len(taken) == run.FEWEST_RUNS


def test_a_budget_counts_down_and_stays_at_zero() -> None:
    budget = run.Budget(5, Clock(0, 3, 3))
    assert (budget.left, budget.left) == (2, 0)


def test_frames_are_as_cameras_send_them() -> None:
    feed = run.frames(ABOUT, 7)
    assert feed["symbols"].shape == (7, 48, 23, 30)
    assert feed["symbols"].dtype == np.int8
    assert feed["level"].ravel().tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert (feed["symbols"] == 0).mean() > 0.4


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """What `make gpu-kit` packs, as far as a processor runs it."""
    bundle = Bundle.open(DEMO)
    shutil.copyfile(run.__file__, tmp_path / "run.py")
    shutil.copyfile(bundle.decoder_path, tmp_path / "decoder.fp32.onnx")
    (tmp_path / "about.json").write_text(json.dumps({**ABOUT, "bundle": bundle.hex_id}))
    return tmp_path


def test_what_is_missing_is_named_and_the_rest_is_measured(kit: Path) -> None:
    ways = ["onnxruntime-cuda", "pytorch", "trtexec", "onnxruntime-cpu"]
    command = [sys.executable, "run.py", "--ways", *ways, "--batches", "1", "2", "--each", "0.01"]
    environment = {"PATH": "/nonexistent"}
    done = subprocess.run(command, cwd=kit, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["missing"]["onnxruntime-cuda"] == "this onnxruntime has no CUDAExecutionProvider"
    assert set(found["missing"]) == {"onnxruntime-cuda", "pytorch", "trtexec"}
    assert [(each["by"], each["batch"]) for each in found["runs"]] == [("onnxruntime-cpu", 1), ("onnxruntime-cpu", 2)]
    assert all(each["frames_per_s"] > 0 for each in found["runs"])


def test_it_ends_where_its_time_does(kit: Path) -> None:
    command = [sys.executable, "run.py", "--ways", "onnxruntime-cpu", "--seconds", "0"]
    done = subprocess.run(command, cwd=kit, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["runs"], found["missing"]) == ([], {"onnxruntime-cpu": "out of time at batch 1"})
