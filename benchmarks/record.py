"""Where a benchmark's answer goes, and on which machine it was found."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from narrows.runtime.writing import write_file

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """The processor and its cores, as a figure's footnote."""
    model = platform.processor() or platform.machine()
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, no GPU"


def write_result(name: str, command: str, figures: dict[str, Any]) -> Path:
    """Write ``results/NAME.json``: the figures, the command that prints them and the machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_file(path, json.dumps({"command": command, "machine": machine(), **figures}, indent=2) + "\n")
    return path


def read_result(name: str) -> dict[str, Any]:
    """Read what :func:`write_result` wrote."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return result


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []
