"""``make e2e-swarm``: the stack in a swarm of two real engines, scene after scene, and ``results/e2e-swarm.json``.

The engines are this machine's, in namespaces of their own: nothing of them is left when this ends, however it ends.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.e2e.apart import missing, remove_control_groups, run_apart, run_folder, stop_by_signals
from benchmarks.e2e_swarm.images import CACHE, EngineError, build
from benchmarks.e2e_swarm.nodes import CGROUP
from benchmarks.e2e_swarm.scenes import SCENES
from benchmarks.record import write_result

FIRST, LATER = SCENES[0].name, {scene.name for scene in SCENES[1:]}


def main() -> int:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 120)
    if needed := missing():
        console.print(f"[red]make e2e-swarm runs Docker engines in namespaces of their own: it needs {needed}[/]")
        return 1
    stop_by_signals()
    try:
        build(console)
        with run_folder(CACHE) as folder:
            try:
                run_apart("benchmarks.e2e_swarm.inside", str(folder), FIRST, *options.only)
            finally:
                remove_control_groups(CGROUP)
            return _report(folder, console)
    except (EngineError, subprocess.CalledProcessError) as error:
        console.print(f"[red]{error}[/]")
    except KeyboardInterrupt:
        console.print("[red]stopped; everything is taken down[/]")
    return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    only = f"of the scenes after {FIRST}, these alone; the others' results stay what they were"
    parser.add_argument("--only", nargs="+", choices=sorted(LATER), default=sorted(LATER), help=only)
    return parser.parse_args()


def _report(folder: Path, console: Console) -> int:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    words = folder / "last-words"
    if words.is_file():
        shutil.copy(words, CACHE / "last-words")
        console.print(f"what the swarm said is in {CACHE / 'last-words'}")
    kept = CACHE / "result.json"
    result = merged(json.loads(kept.read_text()) if kept.is_file() else {}, found)
    kept.write_text(json.dumps(result))
    if len(result["scenes"]) == len(SCENES):
        write_result("e2e-swarm", "make e2e-swarm", result)
    held = [name for name, scene in found["scenes"].items() if scene["sound"]]
    console.print(f"{len(held)} of {len(found['scenes'])} scenes that were played are sound")
    return 0 if len(held) == len(found["scenes"]) else 1


def merged(former: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """A run's result beside those of scenes that it did not play; a scene that failed in it is in neither."""
    scenes = former.get("scenes", {}) | found["scenes"]
    in_turn = {scene.name: scenes[scene.name] for scene in SCENES if scene.name in scenes}
    kept = {name: scene for name, scene in in_turn.items() if "failed" not in scene}
    sound = len(kept) == len(SCENES) and all(each["sound"] for each in kept.values())
    return {**found, "scenes": kept, "sound": sound}


if __name__ == "__main__":
    sys.exit(main())
