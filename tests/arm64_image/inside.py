"""Runs in the container, and prints as JSON what it is made of. No more than the image has may be imported."""

import importlib.util
import json
import platform
import sysconfig
from pathlib import Path

site = Path(sysconfig.get_paths()["purelib"])
(coder,) = (site / "narrows" / "contract" / "codec").glob("*.so")


def megabytes(paths: list[Path]) -> float:
    files = [f for path in paths for f in (path.rglob("*") if path.is_dir() else [path])]
    return sum(f.stat().st_size for f in files if f.is_file() and f.suffix != ".pyc") / 1e6


video = [path for path in site.iterdir() if path.name == "av" or path.name.startswith(("av.", "av-"))]
lean = [path for path in site.iterdir() if path not in video]
print(
    json.dumps(
        {
            "machine": platform.machine(),
            "torch": importlib.util.find_spec("torch") is not None,
            "coder_elf_machine": int.from_bytes(coder.read_bytes()[18:20], "little"),
            "installed_mb": megabytes(lean),
            "video_mb": megabytes(video),
        }
    )
)
