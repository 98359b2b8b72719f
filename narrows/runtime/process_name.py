"""What a process calls itself where several of its kind may run."""

from __future__ import annotations

import os
import secrets

from narrows.runtime.surroundings import host_name


def own_name() -> str:
    """A name that no other dispatcher has, nor this one after a restart."""
    return f"{host_name()}-{os.getpid()}-{secrets.token_hex(4)}"
