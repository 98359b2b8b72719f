"""``make e2e-kubernetes``: the chart and our engine against a real API server, and ``results/e2e-kubernetes.json``.

Control plane and scenes run in namespaces of their own: nothing of them is left when this ends, however it ends. What
is built stays in ``.cache/e2e-kubernetes``, and a build that was stopped goes on from there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.e2e.apart import missing, run_apart, run_folder, stop_by_signals
from benchmarks.e2e_kubernetes.build import CACHE, Builder
from benchmarks.e2e_kubernetes.chart import install_tools
from benchmarks.record import write_result


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    if needed := missing():
        console.print(f"[red]make e2e-kubernetes builds and runs a control plane on this machine: it needs {needed}[/]")
        return 1
    stop_by_signals()
    try:
        Builder(CACHE, console).build()
        install_tools(CACHE / "tools")
        with run_folder(CACHE) as folder:
            try:
                run_apart("benchmarks.e2e_kubernetes.inside", str(folder))
            finally:
                _keep_logs(folder)
            return _report(json.loads((folder / "result.json").read_text()), console)
    except subprocess.CalledProcessError as error:
        console.print(f"[red]{error}[/]; logs are in {CACHE / 'logs'}")
    except KeyboardInterrupt:
        console.print("[red]stopped; a build goes on from here the next time[/]")
    return 1


def _keep_logs(folder: Path) -> None:
    """The last run's."""
    (CACHE / "logs").mkdir(exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, CACHE / "logs")


def _report(found: dict[str, Any], console: Console) -> int:
    scenes = found["scenes"]
    sound = all(each["sound"] for each in scenes.values())
    write_result("e2e-kubernetes", "make e2e-kubernetes", found | {"sound": sound})
    console.print(f"{len(scenes)} scenes against Kubernetes {found['version']}; {'sound' if sound else 'NOT SOUND'}")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
