"""Measures a network where it runs: `python3 probe.py MODEL`. A file by itself, for devices without this package.

It needs onnxruntime and numpy, and prints one line of JSON: latency by percentile and of each run, throughput, memory,
processor time, energy where the machine counts it, microseconds of each node and operator by ONNX Runtime's profiler,
and with `--minutes` how latency, temperature and clock change while the device gets warm. Nothing else is written.

Memory is the most that was resident, before the network was opened and in all. Energy is of the whole machine: Linux'
powercap (RAPL) or the counters and meters under hwmon; the first that there is counts. `--cores` holds the measurement
to a share of the processor where no control group may be made: it is stopped while it has had more than its share.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: from 1.31 on ONNX Runtime phones home

import numpy as np
import onnxruntime

SYSTEM = Path("/sys")
PERCENTILES = (50, 90, 95, 99)
WINDOW_S = 10.0
PERIOD_S = 0.02
"""A process that has a share of the processor may take so much of it in advance, as in our control groups."""
_WARM_UP = 2
_KEPT_RUNS = 2000
_METER_EVERY_S = 0.1
_KILLED_WITH_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_PROCESSOR_TIME = 2  # CPUCLOCK_SCHED of linux/posix-timers.h


def measure(model: str, runs: int, least_s: float, threads: int) -> dict[str, Any]:
    """Run the network at least ``runs`` times and ``least_s`` seconds, then ``runs`` times under the profiler."""
    before_bytes = peak_rss_bytes()
    session = _session(model, threads)
    feed = _feed(session)
    for _ in range(_WARM_UP):
        session.run(None, feed)
    meter, processor_s = Meter(SYSTEM), time.process_time()
    timed = timed_runs(lambda: session.run(None, feed), runs, least_s, time.perf_counter, meter.warmth)
    processor_s = time.process_time() - processor_s
    energy_j = meter.stop()
    count = len(timed.whole_ms)
    nodes, operators = _profiled(model, feed, runs, threads)
    return {
        "model": Path(model).name,
        "sha256": hashlib.sha256(Path(model).read_bytes()).hexdigest(),
        "runtime": onnxruntime.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": threads,
        "runs": count,
        "latency_ms": percentiles(timed.whole_ms),
        "frames_per_s": 1e3 * count / sum(timed.whole_ms),
        "whole_ms": timed.whole_ms[:: -(-count // _KEPT_RUNS)],
        "processor_s": processor_s / count,
        "rss_before_bytes": before_bytes,
        "rss_peak_bytes": peak_rss_bytes(),
        "energy_j": None if energy_j is None else energy_j / count,
        "energy_source": meter.source,
        "windows": timed.windows,
        "slowdown": slowdown(timed.windows),
        "nodes": nodes,
        "operators": operators,
    }


class TimedRuns(NamedTuple):
    """Milliseconds of each run, and a summary of every :data:`WINDOW_S` seconds."""

    whole_ms: list[float]
    windows: list[dict[str, Any]]


def timed_runs(
    run: Callable[[], object],
    runs: int,
    least_s: float,
    now_s: Callable[[], float],
    warmth_now: Callable[[], Mapping[str, Any]],
) -> TimedRuns:
    """Run at least so often and so long."""
    found, begun_s, first = TimedRuns([], []), now_s(), 0
    window_s = begun_s
    while len(found.whole_ms) < runs or now_s() - begun_s < least_s:
        started_s = now_s()
        run()
        ended_s = now_s()
        found.whole_ms.append((ended_s - started_s) * 1e3)
        if ended_s - window_s >= WINDOW_S:
            some = found.whole_ms[first:]
            summary = {"runs": len(some), "p50_ms": statistics.median(some)}
            found.windows.append({"at_s": ended_s - begun_s, **summary, **warmth_now()})
            first, window_s = len(found.whole_ms), ended_s
    return found


def slowdown(windows: Sequence[Mapping[str, Any]]) -> float | None:
    """The last window's median latency over the first's; above 1 the device slows down. ``None`` before two."""
    return windows[-1]["p50_ms"] / windows[0]["p50_ms"] if len(windows) > 1 else None


def percentiles(whole_ms: Sequence[float]) -> dict[str, float]:
    """``p50`` to ``p99`` by nearest rank, and ``max``."""
    ordered = sorted(whole_ms)
    ranks = {f"p{share}": ordered[max(0, -(-len(ordered) * share // 100) - 1)] for share in PERCENTILES}
    return {**ranks, "max": ordered[-1]}


def peak_rss_bytes(status: Path = Path("/proc/self/status")) -> int | None:
    """The most that was resident. (getrusage's figure outlives exec, so it may be the parent's.)"""
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def warmth(system: Path) -> dict[str, Any]:
    """The hottest sensor, the slowest core's clock, and how often cores were throttled; ``None`` where unknown."""
    heat = [*system.glob("class/thermal/thermal_zone*/temp"), *system.glob("class/hwmon/hwmon*/temp*_input")]
    clocks = _numbers(system.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"))
    throttled = _numbers(system.glob("devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count"))
    celsius = _numbers(heat)
    return {
        "temperature_c": max(celsius) / 1e3 if celsius else None,
        "clock_mhz": min(clocks) / 1e3 if clocks else None,
        "throttled": sum(throttled) if throttled else None,
    }


def _numbers(paths: Iterable[Path]) -> list[int]:
    return [number for path in paths if (number := _number(path)) is not None]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # a sensor that sleeps, or that only root may read
        return None


class Meter:
    """Joules from now on, by the first of: RAPL's packages, hwmon's energy counters, hwmon's power meters."""

    def __init__(self, system: Path) -> None:
        self._system, self._done = system, threading.Event()
        self._joules: float | None = 0.0
        self._before, self.source = self._read(), None
        self._watched: threading.Thread | None = None
        if self._before:
            self.source = "rapl" if read_energy(system / "class" / "powercap") else "hwmon energy"
        elif _watts(system) is not None:
            self.source = "hwmon power"
            self._watched = threading.Thread(target=self._watch, daemon=True)
            self._watched.start()

    def _read(self) -> Mapping[str, tuple[int, int]]:
        return read_energy(self._system / "class" / "powercap") or read_counters(self._system)

    def _watch(self) -> None:
        before_s = time.monotonic()
        while not self._done.wait(_METER_EVERY_S):
            now_s = time.monotonic()
            self._joules = (self._joules or 0.0) + (_watts(self._system) or 0.0) * (now_s - before_s)
            before_s = now_s

    def warmth(self) -> dict[str, Any]:
        """As :func:`warmth`; counters are read as well, which on a busy server begin anew every few minutes."""
        self._count()
        return warmth(self._system)

    def _count(self) -> None:
        if self._watched is None:
            now = self._read()
            found = spent(self._before, now)
            self._joules = None if found is None or self._joules is None else self._joules + found
            self._before = now

    def stop(self) -> float | None:
        """What was used since; ``None`` where nothing counts."""
        if self._watched is not None:
            self._done.set()
            self._watched.join()
        self._count()
        return self._joules


def _watts(system: Path) -> float | None:
    found = _numbers(system.glob("class/hwmon/hwmon*/power*_input"))
    return sum(found) / 1e6 if found else None


def read_counters(system: Path) -> Mapping[str, tuple[int, int]]:
    """Of each energy counter under hwmon: microjoules, and where the count begins anew (64 bits)."""
    paths = sorted(system.glob("class/hwmon/hwmon*/energy*_input"))
    return {str(path): (number, (1 << 64) - 1) for path in paths if (number := _number(path)) is not None}


def read_energy(powercap: Path) -> Mapping[str, tuple[int, int]]:
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
    feed = {}
    for source in session.get_inputs():
        kind = source.type.removeprefix("tensor(").removesuffix(")")
        dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
        shape = [side if isinstance(side, int) else 1 for side in source.shape]
        values = np.random.default_rng(0).random(shape)
        if dtype.kind != "f":  # a picture or symbols; wider integers are levels, scales and the like, and may not be 0
            values = values * 127 if dtype in (np.uint8, np.int8) else np.ones(shape)
        feed[source.name] = values.astype(dtype)
    return feed


def _profiled(
    model: str, feed: Mapping[str, Any], runs: int, threads: int
) -> tuple[list[tuple[str, float]], dict[str, float]]:
    """Median microseconds of each node that was run, in the order of a run, and their sums by operator."""
    with tempfile.TemporaryDirectory() as folder:
        session = _session(model, threads, str(Path(folder) / "profile"))
        for _ in range(runs + _WARM_UP):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    durations: dict[str, list[float]] = {}
    operator_of: dict[str, str] = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            durations.setdefault(name.removesuffix("_kernel_time"), []).append(float(event["dur"]))
            operator_of[name.removesuffix("_kernel_time")] = event.get("args", {}).get("op_name", "unknown")
    nodes = [(name, statistics.median(found[_WARM_UP:])) for name, found in durations.items()]
    operators: dict[str, float] = {}
    for name, microseconds in nodes:
        operators[operator_of[name]] = operators.get(operator_of[name], 0.0) + microseconds
    return nodes, dict(sorted(operators.items(), key=lambda each: -each[1]))


class Share:
    """So many seconds of processor a second; what is not used is kept for one :data:`PERIOD_S`."""

    def __init__(self, cores: float, now_s: float) -> None:
        self._cores, self._before_s, self._allowed_s = cores, now_s, 0.0

    def is_used_up(self, now_s: float, used_s: float) -> bool:
        """Whether who has used ``used_s`` in all has had more than its share by now."""
        self._allowed_s += self._cores * (now_s - self._before_s)
        self._allowed_s = min(self._allowed_s, used_s + self._cores * PERIOD_S)
        self._before_s = now_s
        return used_s > self._allowed_s


def throttle(command: Sequence[str], cores: float) -> int:
    """Run a command, and stop it whenever it has had more than ``cores`` seconds a second; its exit status."""
    with subprocess.Popen(command) as child:
        clock, share = (~child.pid << 3) | _PROCESSOR_TIME, Share(cores, time.monotonic())
        try:
            while child.poll() is None:
                time.sleep(PERIOD_S / 10)
                has_had = share.is_used_up(time.monotonic(), _clock_s(clock))
                child.send_signal(signal.SIGSTOP if has_had else signal.SIGCONT)
        finally:
            child.kill()
        return child.returncode


def _clock_s(clock: int) -> float:
    try:
        return time.clock_gettime(clock)
    except OSError:  # it has just ended
        return 0.0


def main() -> int:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="ONNX file")
    parser.add_argument("--runs", type=int, default=20, help="at least so often (default 20)")
    parser.add_argument("--seconds", type=float, default=1.0, help="and so long (default 1)")
    parser.add_argument("--minutes", type=float, default=0.0, help="or so long: does it slow down as it gets warm?")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime (default 1)")
    parser.add_argument("--cores", type=float, help="share of the processor, 0.25 say, where no control group is had")
    given = parser.parse_args()
    if given.cores is not None:
        options = [f"--{name}={getattr(given, name)}" for name in ("runs", "seconds", "minutes", "threads")]
        return throttle([sys.executable, __file__, given.model, *options], given.cores)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_KILLED_WITH_PARENT, signal.SIGKILL)  # a stopped process outlives who stopped it
    found = measure(given.model, given.runs, max(given.seconds, 60 * given.minutes), given.threads)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
