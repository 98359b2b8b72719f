"""What a command will write is looked at with its other options, before minutes of work are spent on it.

Each is an option's ``callback``: it gives back what it was given, or raises FileUnwritable.
"""

from __future__ import annotations

from pathlib import Path

from narrows.contract.errors import FileUnwritable
from narrows.runtime.writing import check_folder_writable, check_writable

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""As Pillow names them, by the file's suffix."""


def file_to_write(path: Path | None) -> Path | None:
    """A file that can be written."""
    check_writable(path)
    return path


def folder_to_write(path: Path | None) -> Path | None:
    """A folder that can be written to, there or not."""
    if path is not None:
        check_folder_writable(path)
    return path


def picture_to_write(path: Path) -> Path:
    """A file that can be written, and whose suffix says in which format."""
    if path.suffix.lower() not in PICTURE_FORMATS:
        raise FileUnwritable(f"{path} names no picture: end it with .png, .jpg or .webp")
    check_writable(path)
    return path
