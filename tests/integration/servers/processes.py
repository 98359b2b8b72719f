"""What runs on this machine, read from ``/proc``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    return _state_and_group(Path("/proc") / str(pid))[0] not in {"", "Z", "X"}


def members(group: int) -> list[int]:
    """The living processes of a process group."""
    folders = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [int(path.name) for path in folders if _state_and_group(path)[1] == group and alive(int(path.name))]


def eventually(condition: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """Whether a condition comes true; the limit is only there to end a test that fails."""
    give_up = time.monotonic() + limit_s
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.02)
    return condition()


def shared_memory_of(prefix: str) -> list[str]:
    """The names of shared memory objects that begin with ``prefix``."""
    return [path.name for path in Path("/dev/shm").iterdir() if path.name.startswith(prefix)]


def _state_and_group(folder: Path) -> tuple[str, int]:
    try:
        state, _, group, *_ = (folder / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return "", 0
    return state, int(group)
