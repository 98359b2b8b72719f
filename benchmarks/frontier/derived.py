"""What is kept of a network, and made anew once the network is another: by age, as `make` has it."""

from __future__ import annotations

from pathlib import Path


def is_current(path: Path, source: Path) -> bool:
    """Whether a file stands that is no older than what it was made from, if that still is there."""
    if not path.is_file() or not source.is_file():
        return path.is_file()
    return path.stat().st_mtime_ns >= source.stat().st_mtime_ns
