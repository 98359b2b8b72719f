"""Where the compiled kernel lies: beside its source, under a name that holds a hash of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCE = Path(__file__).with_name("kernel.c")


def object_path() -> Path:
    """The object of the present source, built or not; an object of an older source has another name."""
    return SOURCE.with_name(f"_kernel_{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so")
