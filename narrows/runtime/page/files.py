"""A page's own files: read once, each with a tag that changes with it."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import NamedTuple

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class StaticFile(NamedTuple):
    """One of them: its bytes, their media type, and the tag."""

    body: bytes
    kind: str
    tag: str


def static_file(path: Traversable) -> StaticFile:
    """Read it."""
    body = path.read_bytes()
    return StaticFile(body, _KINDS[PurePosixPath(path.name).suffix], hashlib.sha256(body).hexdigest()[:16])


def static_files(folder: Traversable) -> dict[str, StaticFile]:
    """Those of a folder, by name."""
    return {
        each.name: static_file(each)
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if PurePosixPath(each.name).suffix in _KINDS
    }


def shared_files() -> dict[str, StaticFile]:
    """Those that every page has."""
    return static_files(files(__package__).joinpath("static"))
