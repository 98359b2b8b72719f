"""The run itself, in namespaces of its own: a control plane, kubelets that are played, a Redis, and the scenes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kubernetes.client.exceptions import ApiException
from rich.console import Console

from benchmarks.e2e.waiting import StackError
from benchmarks.e2e_kubernetes.build import CACHE, VERSION
from benchmarks.e2e_kubernetes.chart import Chart
from benchmarks.e2e_kubernetes.cluster import Stage, served
from benchmarks.e2e_kubernetes.control_plane import NAMESPACE, ControlPlane
from benchmarks.e2e_kubernetes.kubelet import Kubelets
from benchmarks.e2e_kubernetes.scenes import SCENES, Figures
from narrows.contract.errors import NarrowsError
from orchestrator.servers import LocalRedis

_NODES = 3
_TYPICAL_S = 30.0
_FAILURES = (StackError, NarrowsError, ApiException, subprocess.SubprocessError, OSError)


def main() -> int:
    folder, console = Path(sys.argv[1]), Console(width=None if sys.stdout.isatty() else 120)
    played: dict[str, Figures] = {}
    stage = _stage(folder)
    console.print(f"Kubernetes {stage.version} answers")
    for index, scene in enumerate(SCENES):
        left_min = (len(SCENES) - index) * _TYPICAL_S / 60
        console.print(f"scene {index + 1} of {len(SCENES)}, {scene.__name__}: about {left_min:.0f} minutes left")
        played[scene.__name__] = _play(stage, scene, console)
    stage.kubelets.close()
    (folder / "result.json").write_text(json.dumps({"version": stage.version, "scenes": played}))
    return 0


def _stage(folder: Path) -> Stage:
    """Everything that scenes need; nothing of the chart is there yet."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    (folder / "etcd").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder / "etcd"], check=True)  # nothing has to outlive a crash
    tools = CACHE / "tools"
    plane = ControlPlane(folder, CACHE / "bin")
    plane.start()
    plane.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    kubelets = Kubelets(plane.client())
    kubelets.start(_NODES)
    chart = Chart(tools / "helm", NAMESPACE, served(plane))
    redis = LocalRedis.start(folder)
    return Stage(plane, chart, tools / "kubectl", redis.url, VERSION, kubelets)


def _play(stage: Stage, scene: Callable[[Stage], Figures], console: Console) -> Figures:
    begun_s = time.monotonic()
    try:
        figures = scene(stage)
    except _FAILURES as error:
        said = str(getattr(error, "stderr", None) or error)
        console.print(f"[red]{scene.__name__} failed: {said}[/]")
        return {"failed": said, "sound": False}
    console.print(f"{scene.__name__}: {figures}  ({time.monotonic() - begun_s:.0f} s)")
    return {**figures, "sound": True}


if __name__ == "__main__":
    sys.exit(main())
