"""Frames a second of the decoder on this machine's GPU, by whatever is installed; it needs NumPy and nothing of ours.

Tried are ONNX Runtime (TensorRT, CUDA), PyTorch (compiled) and trtexec; what is missing is named and left out. Batches
from 1 to 64, float16, host to host: symbols go in from the host's memory and labels come back to it, as a server does
it. It ends by itself within five minutes and prints JSON.

Example: python3 run.py > gpu.json
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is imported

import numpy as np

HERE = Path(__file__).resolve().parent
BATCHES = (1, 2, 4, 8, 16, 32, 64)
WARM_UPS, FEWEST_RUNS = 3, 5
Feed = dict[str, np.ndarray[Any, Any]]
Runner = Callable[[Feed], object]
Clock = Callable[[], float]
PROVIDERS = {
    "onnxruntime-tensorrt": ("TensorrtExecutionProvider", {"trt_fp16_enable": True}),
    "onnxruntime-cuda": ("CUDAExecutionProvider", {}),
    "onnxruntime-cpu": ("CPUExecutionProvider", {}),
}


class Missing(Exception):
    """Why a way of running the decoder cannot be had here."""


class Budget:
    """Seconds that the whole may still take."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + seconds

    @property
    def left(self) -> float:
        """Never below zero."""
        return max(0.0, self._end - self._clock())


def main() -> None:
    """Measure and print."""
    options = _options()
    about = json.loads((HERE / "about.json").read_text())
    budget = Budget(options.seconds)
    runs: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for name in options.ways:
        try:
            way = _way(name, options.device)
            runs.extend(_measured(name, way, options.batches, about, budget, options.each))
        except Missing as why:
            missing[name] = str(why)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the others are still measured
            missing[name] = f"{type(error).__name__}: {error}"[:300]
    found = {"machine": _machine(), **about, "where": "host to host", "runs": runs, "missing": missing}
    print(json.dumps(found, indent=1))


def frames(about: dict[str, Any], batch: int) -> Feed:
    """Symbols and levels as cameras send them: mostly zeros, all levels."""
    chance = np.random.default_rng(batch)
    symbols = np.rint(chance.laplace(0, 0.7, (batch, *about["latent"]))).clip(-127, 127).astype(np.int8)
    return {"symbols": symbols, "level": (np.arange(batch, dtype=np.int32) % about["levels"])[:, None]}


def time_runs(run: Callable[[], object], seconds: float, clock: Clock = time.perf_counter) -> list[float]:
    """Seconds of each run: at least :data:`FEWEST_RUNS`, then until ``seconds`` are over."""
    for _ in range(WARM_UPS):
        run()
    taken: list[float] = []
    began = clock()
    while len(taken) < FEWEST_RUNS or clock() - began < seconds:
        start = clock()
        run()
        taken.append(clock() - start)
    return taken


def _measured(
    name: str, way: Runner, batches: list[int], about: dict[str, Any], budget: Budget, each: float
) -> Iterator[dict[str, Any]]:
    for batch in batches:
        if budget.left < 2 * each:
            raise Missing(f"out of time at batch {batch}")
        feed = frames(about, batch)
        if name == "trtexec":
            yield {"by": name, "batch": batch, "frames_per_s": way(feed)}
            continue
        taken = time_runs(lambda feed=feed: way(feed), each)  # type: ignore[misc]
        middle = statistics.median(taken)
        yield {"by": name, "batch": batch, "frames_per_s": round(batch / middle, 1), "p50_ms": round(1e3 * middle, 3)}


def _way(name: str, device: str) -> Runner:
    if name == "trtexec":
        return _trtexec()
    if name == "pytorch":
        return _pytorch(device)
    return _onnxruntime(name)


def _imported(name: str) -> Any:  # noqa: ANN401 - may be there or not
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Missing(f"{name} is not installed") from None


def _onnxruntime(name: str) -> Runner:
    ort = _imported("onnxruntime")
    provider, options = PROVIDERS[name]
    if provider not in ort.get_available_providers():
        raise Missing(f"this onnxruntime has no {provider}")
    graph = "decoder.fp32.onnx" if provider == "CPUExecutionProvider" else "decoder.fp16.onnx"
    session = ort.InferenceSession(str(HERE / graph), providers=[(provider, options)])
    if session.get_providers()[0] != provider:
        raise Missing(f"{provider} does not start here")
    return lambda feed: session.run(None, feed)


def _pytorch(device: str) -> Runner:
    torch = _imported("torch")
    if device == "cuda" and not torch.cuda.is_available():
        raise Missing("PyTorch finds no GPU")
    graph = torch.export.load(HERE / "decoder.pt2").module().to(device)
    compiled = torch.compile(graph) if device == "cuda" else graph
    kind = torch.float16 if device == "cuda" else torch.bfloat16

    def run(feed: Feed) -> object:
        with torch.inference_mode(), torch.autocast(device, dtype=kind):
            sent = (torch.from_numpy(feed[name]).to(device) for name in ("symbols", "level"))
            return compiled(*sent).cpu()

    return run


def _trtexec() -> Runner:
    found = shutil.which("trtexec", path=f"{os.environ.get('PATH', os.defpath)}:/usr/src/tensorrt/bin")
    if found is None:
        raise Missing("there is no trtexec")

    def run(feed: Feed) -> float:
        shapes = ",".join(f"{name}:{'x'.join(map(str, value.shape))}" for name, value in feed.items())
        command = [found, f"--onnx={HERE / 'decoder.fp32.onnx'}", "--fp16", f"--shapes={shapes}", "--duration=2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        rate = re.search(r"Throughput: ([\d.]+) qps", done.stdout)
        if rate is None:
            raise Missing(f"trtexec ended with {done.returncode}: {done.stdout[-200:]}")
        return round(float(rate[1]) * len(feed["level"]), 1)

    return run


def _machine() -> dict[str, str | None]:
    gpu = None
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"]
        gpu = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout.strip() or None
    versions = {name: getattr(sys.modules.get(name), "__version__", None) for name in ("onnxruntime", "torch")}
    return {"gpu": gpu, "processor": platform.processor() or platform.machine(), **versions}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.splitlines()[0])
    ways = ["onnxruntime-tensorrt", "onnxruntime-cuda", "pytorch", "trtexec"]
    parser.add_argument("--ways", nargs="+", default=ways, choices=[*PROVIDERS, "pytorch", "trtexec"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="of PyTorch")
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--seconds", type=float, default=270, help="that the whole may take")
    parser.add_argument("--each", type=float, default=3, help="seconds a way and batch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
