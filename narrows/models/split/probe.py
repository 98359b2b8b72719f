"""Measures a network where it runs: `python3 probe.py MODEL`. A file by itself, for devices without this package.

It needs onnxruntime and numpy, and prints one line of JSON: milliseconds of whole runs, microseconds of each node by
ONNX Runtime's profiler, processor seconds, and joules where the machine counts them (Linux' powercap, RAPL).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: from 1.31 on ONNX Runtime phones home

import numpy as np
import onnxruntime

POWERCAP = Path("/sys/class/powercap")
_WARM_UP = 2


def measure(model: str, runs: int, least_s: float, threads: int) -> dict[str, Any]:
    """Run the network at least ``runs`` times and ``least_s`` seconds, then ``runs`` times under the profiler."""
    session = _session(model, threads)
    feed = _feed(session)
    for _ in range(_WARM_UP):
        session.run(None, feed)
    energy, processor_s, begun_s = read_energy(), time.process_time(), time.perf_counter()
    whole_ms: list[float] = []
    while len(whole_ms) < runs or time.perf_counter() - begun_s < least_s:
        started_s = time.perf_counter()
        session.run(None, feed)
        whole_ms.append((time.perf_counter() - started_s) * 1e3)
    processor_s = time.process_time() - processor_s
    return {
        "runtime": onnxruntime.__version__,
        "whole_ms": whole_ms,
        "processor_s": processor_s / len(whole_ms),
        "energy_j": _per_run(spent(energy, read_energy()), len(whole_ms)),
        "nodes": _profiled(model, feed, runs, threads),
    }


def _per_run(joules: float | None, runs: int) -> float | None:
    return None if joules is None else joules / runs


def _session(model: str, threads: int, profile: str | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _feed(session: onnxruntime.InferenceSession) -> dict[str, Any]:
    source = session.get_inputs()[0]
    kind = source.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    values = np.random.default_rng(0).random(source.shape)
    scaled = values if dtype.kind == "f" else values * (1 if dtype.kind == "b" else 127)
    return {source.name: scaled.astype(dtype)}


def _profiled(model: str, feed: dict[str, Any], runs: int, threads: int) -> list[tuple[str, float]]:
    """Name and median microseconds of each node that was run, in the order of a run."""
    with tempfile.TemporaryDirectory() as folder:
        session = _session(model, threads, str(Path(folder) / "profile"))
        for _ in range(runs + _WARM_UP):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    durations: dict[str, list[float]] = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            durations.setdefault(name.removesuffix("_kernel_time"), []).append(float(event["dur"]))
    return [(name, statistics.median(found[_WARM_UP:])) for name, found in durations.items()]


def read_energy(powercap: Path = POWERCAP) -> Mapping[str, tuple[int, int]]:
    """Of each processor package that counts its energy: microjoules, and where the count begins anew."""
    found = {}
    for zone in sorted(powercap.glob("*:*")) if powercap.is_dir() else ():
        try:
            if zone.name.count(":") == 1 and (zone / "name").read_text().startswith("package"):
                most = int((zone / "max_energy_range_uj").read_text())
                found[zone.name] = (int((zone / "energy_uj").read_text()), most)
        except (OSError, ValueError):  # older kernels let root alone read it
            continue
    return found


def spent(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> float | None:
    """Joules between two readings; ``None`` where nothing counts."""
    zones = before.keys() & after.keys()
    if not zones:
        return None
    return sum((after[zone][0] - before[zone][0]) % (before[zone][1] + 1) for zone in zones) / 1e6


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    found = measure(arguments.model, arguments.runs, arguments.seconds, arguments.threads)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
