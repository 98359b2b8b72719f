"""Where the compiled kernel lies: beside its sources, under a name that holds a hash of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = (HERE / "kernel.c", HERE / "labels.c", HERE / "masks.c", HERE / "crc.c")
"""What is compiled, into one object."""
HEADERS = (HERE / "rans.h", HERE / "crc.h")


def object_path() -> Path:
    """The object of the present sources, built or not; an object of older sources has another name."""
    read = b"".join(path.read_bytes() for path in (*SOURCES, *HEADERS))
    return HERE / f"_kernel_{hashlib.sha256(read).hexdigest()[:12]}.so"
