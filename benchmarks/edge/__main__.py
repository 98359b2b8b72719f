"""The camera's program as it is installed: frames a second on one core, memory, size; no torch.

Then what the encoder of each bundle that ships makes of a tenth of a core.

Example: python -m benchmarks.edge --frames 300
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from benchmarks.edge.installed import Installed, install
from benchmarks.record import RESULTS, read_result, write_result
from narrows.cli.split import device_named
from narrows.contract.bundle import Bundle
from narrows.contract.errors import NarrowsError, ServiceError
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.models.split.device import Effort
from orchestrator.servers import Guarded, LocalRedis

_AIMS = {"frames_per_s": 15.0, "rss_mb": 180.0, "installed_mb": 190.0, "video_mb": 110.0, "int8_loss": 0.01}
_ROUNDS = 3
_SHARE = 0.1
"""Of a core: what a camera that also does something else, or is a small one, has."""
_SHIPPED = ("demo", "weak", "mcu")
_WAIT_S = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-edge", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--source", type=Path, default=Path("samples/images/val"), help="folder of pictures")
    parser.add_argument("--frames", type=int, default=200, help="frames of a round")
    parser.add_argument("--quick", action="store_true", help="one short round; writes nothing")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-edge"))
    options = parser.parse_args()
    try:
        figures = measure(options)
    except NarrowsError as error:
        print(f"bench-edge: {error}", file=sys.stderr)
        return 1
    show(figures)
    if not options.quick:
        print(write_result("edge", "make bench-edge", figures))
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Install, run and weigh."""
    bundle, folder = Bundle.open(options.bundle), options.run_folder
    before = os.getloadavg()[0]
    lean = install(folder / "edge", "edge")
    whole = install(folder / "edge-video", "edge,video")
    with LocalRedis.start(folder) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set(INSTALL_KEY, Install(4).to_json())
        frames, rounds = (40, 1) if options.quick else (options.frames, _ROUNDS)
        runs = [_run(lean, server.url, bundle, options.source, frames, folder / f"round-{n}") for n in range(rounds)]
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    largest = sorted(lean.packages.items(), key=lambda each: -each[1])[:6]
    return {
        "bundle": bundle.hex_id,
        "input": f"{bundle.manifest.input.width}x{bundle.manifest.input.height}",
        "rounds": len(runs),
        **middle,
        "installed_mb": lean.megabytes,
        "video_mb": whole.megabytes - lean.megabytes,
        "largest_mb": {name: size / 1e6 for name, size in largest},
        "has_torch": lean.imports("torch") or whole.imports("torch"),
        "int8_loss": _int8_loss(),
        "share": _SHARE,
        "encoders_at_share": [_at_share(Path("bundles") / name, quick=options.quick) for name in _SHIPPED],
        "aims": _AIMS,
        "load_average_before": before,
        "load_average_after": os.getloadavg()[0],
    }


def _run(lean: Installed, url: str, bundle: Bundle, source: Path, frames: int, folder: Path) -> dict[str, float]:
    """One run of the installed program, on one core, as fast as it goes, at the finest level."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    journal = folder / "journal.jsonl"
    command: list[str | Path] = [
        *("taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))),
        *(lean.python, "-I", "-m", "narrows.cli", "edge", "--source", source.absolute(), "--loop"),
        *("--stream-id", "bench", "--redis-url", url, "--bundle", bundle.folder.absolute(), "--level", "0"),
        *("--fps", "240", "--frames", str(frames), "--max-age-s", "0", "--maxlen", "100"),
        *("--journal", journal.absolute(), "--state-dir", folder.absolute() / "state"),
    ]
    with Guarded.start(command, log=folder / "edge.log", environment={"NARROWS_CONFIG": os.devnull}) as program:
        usage = _follow(program)
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.is_file() else []
    taken = [line for line in lines if not line.get("end")]
    if len(taken) < frames:
        raise ServiceError(f"narrows edge ended after {len(taken)} of {frames} frames:\n{program.tail()}")
    return _shares(taken) | usage


def _at_share(folder: Path, *, quick: bool) -> dict[str, Any]:
    """A bundle's encoder by the probe of `narrows bench-device`, held to a share of a core."""
    encoder = Bundle.open(folder).encoder_path.read_bytes()
    with device_named(f"quota {_SHARE}") as device:
        found = device.measure(encoder, Effort(runs=3 if quick else 20))
    latency_ms = median(found.whole_ms)
    return {
        "bundle": folder.name,
        "encoder_bytes": len(encoder),
        "processor_ms": 1000 * found.processor_s,
        "latency_ms": latency_ms,
        "frames_per_s": 1000 / latency_ms,
    }


def _follow(program: Guarded) -> dict[str, float]:
    """Its memory at most, until it ends."""
    rss_kb, give_up_s = 0, time.monotonic() + _WAIT_S
    while program.poll() is None:
        if time.monotonic() > give_up_s:
            raise ServiceError(f"narrows edge does not end:\n{program.tail()}")
        rss_kb = max(rss_kb, _peak_kb(program.pid))
        time.sleep(0.05)
    return {"rss_mb": rss_kb * 1024 / 1e6}


def _shares(taken: list[dict[str, Any]]) -> dict[str, float]:
    """Medians, ms a frame; what is neither network nor coder is reading a picture, and the rest of the loop."""
    network_ms = median(line["encode_ms"]["network"] for line in taken)
    coder_ms = median(line["encode_ms"]["coder"] for line in taken)
    apart_ms = [b["capture_ms"] - a["capture_ms"] for a, b in pairwise(taken)]
    period_ms = sum(apart_ms) / len(apart_ms)
    return {
        "frames_per_s": 1000 / period_ms,
        "encode_frames_per_s": 1000 / (network_ms + coder_ms),
        "network_ms": network_ms,
        "coder_ms": coder_ms,
        "rest_ms": max(0.0, period_ms - network_ms - coder_ms),
    }


def _peak_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def _int8_loss() -> float | None:
    """The most that the int8 encoder loses at any level, by the last `make bench-accuracy`; mIoU, 0 to 1."""
    if not (RESULTS / "accuracy.json").is_file():
        return None
    levels: dict[int, dict[str, float]] = {}
    for row in read_result("accuracy")["levels"]:
        levels.setdefault(row["level"], {})[row["encoder"]] = row["miou"]
    losses = [each["float"] - each["int8"] for each in levels.values() if {"float", "int8"} <= each.keys()]
    return max(losses, default=None)


def show(figures: dict[str, Any]) -> None:
    """Print what was measured beside what is aimed at."""
    table = Table("one camera, one core", "measured", "aim")
    table.add_row("frames/s, whole program", f"{figures['frames_per_s']:.1f}", f"at least {_AIMS['frames_per_s']:.0f}")
    table.add_row("frames/s, network and coder", f"{figures['encode_frames_per_s']:.1f}", "")
    for part in ("network", "coder", "rest"):
        table.add_row(f"{part}, ms a frame", f"{figures[f'{part}_ms']:.2f}", "")
    table.add_row("resident memory at most, MB", f"{figures['rss_mb']:.0f}", f"at most {_AIMS['rss_mb']:.0f}")
    table.add_row("installed, MB", f"{figures['installed_mb']:.0f}", f"at most {_AIMS['installed_mb']:.0f}")
    table.add_row("more with video, MB", f"{figures['video_mb']:.0f}", f"at most {_AIMS['video_mb']:.0f}")
    table.add_row("torch", "there" if figures["has_torch"] else "not there", "not there")
    loss = figures["int8_loss"]
    table.add_row("mIoU lost by int8", "" if loss is None else f"{loss:.2%}", f"at most {_AIMS['int8_loss']:.0%}")
    for row in figures["encoders_at_share"]:
        told = f"{row['bundle']}'s encoder, frames/s at {figures['share']:g} core"
        table.add_row(told, f"{row['frames_per_s']:.1f}", "")
    Console(width=100).print(table)
    print(f"load average {figures['load_average_before']:.1f} before, {figures['load_average_after']:.1f} after")


if __name__ == "__main__":
    raise SystemExit(main())
