"""The run itself, as the first process of namespaces of its own: with it ends all that it started."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.e2e.scenes import bundles_in
from benchmarks.e2e.stack import ROOT
from benchmarks.e2e.waiting import StackError
from benchmarks.e2e_swarm.cameras import Cameras
from benchmarks.e2e_swarm.images import EngineError
from benchmarks.e2e_swarm.nodes import encrypts, open_switch, start_node
from benchmarks.e2e_swarm.scenes import SCENES, Scene, Stage
from benchmarks.e2e_swarm.stack import Stack
from narrows.contract.errors import NarrowsError

_NODES = 2
_FAILURES = (StackError, NarrowsError, EngineError, subprocess.SubprocessError, OSError)


def main() -> int:
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    scenes = [scene for scene in SCENES if scene.name in names]
    console = Console(width=None if sys.stdout.isatty() else 120)
    stage = _stage(folder, console)
    played: dict[str, dict[str, object]] = {}
    for index, scene in enumerate(scenes):
        left_min = sum(each.typical_s for each in scenes[index:]) / 60
        console.print(f"scene {index + 1} of {len(scenes)}, {scene.name}: about {left_min:.0f} minutes left")
        played[scene.name] = _play(stage, scene, _streams(index, scene), console)
        if "failed" in played[scene.name]:
            (folder / "last-words").write_text(_last_words(stage.stack))
            break
    encrypted = stage.stack.encrypted
    (folder / "result.json").write_text(json.dumps({"nodes": _NODES, "encrypted": encrypted, "scenes": played}))
    return 0


def _stage(folder: Path, console: Console) -> Stage:
    """Nodes, their swarm, secrets and bundles; nothing is deployed yet."""
    bundles = folder / "bundles"
    bundles.mkdir()
    bundles_in(bundles, ROOT / "bundles" / "demo")
    open_switch()
    console.print(f"starting {_NODES} engines", style="dim")
    nodes = tuple(start_node(number + 1, folder, bundles) for number in range(_NODES))
    address = f"rediss://{nodes[0].address}:6379/0"
    keys = ("keys", "stack", "--out", str(folder / "secrets"), "--public-address", address)
    subprocess.run([Path(sys.executable).with_name("narrows"), *keys], check=True, stdout=subprocess.DEVNULL)
    stack = Stack(nodes, folder, encrypts())
    stack.form()
    return Stage(stack, Cameras(folder / "secrets", folder / "cameras", bundles))


def _play(stage: Stage, scene: Scene, streams: Sequence[str], console: Console) -> dict[str, object]:
    """What a scene found, and whether each of its streams adds up."""
    begun_s = time.monotonic()
    try:
        with stage.cameras.sending(streams if scene.streams else ()):
            figures = scene.play(stage, streams)
        account = stage.cameras.account(streams)
    except _FAILURES as error:
        said = getattr(error, "stderr", None) or error
        console.print(f"[red]{scene.name} failed: {said}[/]")
        return {"failed": str(said), "sound": False}
    sound = all(line.sound and line.sent for line in account)
    sent, seconds = sum(line.sent for line in account), time.monotonic() - begun_s
    verdict = "each accounted for" if sound else f"[red]NOT BALANCED: {account}[/]"
    console.print(f"{scene.name}: {figures}; {sent:,} frames sent, {verdict}  ({seconds:.0f} s)")
    return {**figures, "accounts": [asdict(line) for line in account], "sound": sound}


def _streams(index: int, scene: Scene) -> list[str]:
    """The scene's own; there are keys for demo-1 to demo-32."""
    return [f"demo-{2 * index + number + 1}" for number in range(scene.streams or 2)]


def _last_words(stack: Stack) -> str:
    try:
        return stack.last_words()
    except subprocess.SubprocessError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
