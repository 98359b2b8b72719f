"""bench-pipeline runs on the real parts, and each frame that it sends comes back as a mask (it stops if not)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_quick_round_compares_both_sides_and_writes_no_result(tmp_path: Path) -> None:
    results = ROOT / "benchmarks" / "results" / "pipeline.json"
    before = results.read_bytes() if results.is_file() else None
    command = [sys.executable, "-m", "benchmarks.pipeline", "--quick", "--only", "model", "--run-folder", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for figure in ("throughput_ratio", "CPU ms outside Triton", "added", "load average"):
        assert figure in ran.stdout
    assert (results.read_bytes() if results.is_file() else None) == before
