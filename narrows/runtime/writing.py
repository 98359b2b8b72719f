"""Files that people ask for: whole or not at all, and never a traceback for a full disk or a folder that is none.

A file is written beside its place and moved there, so a run that ends in between, by Ctrl-C too, leaves what was there.
What is no file (a pipe, `/dev/stdout`) is written to, and a link stays one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from narrows.contract.errors import FileUnwritable

_PARTIAL = ".partial"


def check_writable(path: Path | None) -> None:
    """Say now what would fail once all is measured.

    Folders that it lies in are made when it is written.

    Raises:
        FileUnwritable: it is a folder, or lies in none that can be written to.
    """
    if path is None:
        return
    if path.is_dir():
        raise FileUnwritable(f"{path} is a folder: name a file in it")
    if not path.exists() or path.is_file():
        _check_folder(path.resolve().parent, path)


def check_folder_writable(folder: Path) -> None:
    """The same for a folder that may have to be made.

    Raises:
        FileUnwritable: it is a file, or lies in no folder that can be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise FileUnwritable(f"{folder} is a file: name a folder")
    _check_folder(folder, folder)


def _check_folder(folder: Path, wanted: Path) -> None:
    """A folder, or that which it would be made in, may be written to."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with _named(wanted):
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder")
        if not os.access(folder, os.W_OK | os.X_OK) or os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise PermissionError(errno.EACCES, f"{folder} may not be written to")


def write_file(path: Path, data: bytes | str) -> None:
    """Write a file whole, or leave what is there. Text is written as UTF-8.

    Raises:
        FileUnwritable: it cannot be.
    """
    content = data.encode() if isinstance(data, str) else data
    if path.exists() and not path.is_file():
        with _named(path):
            path.write_bytes(content)
        return
    place = path.resolve()
    write_files(place.parent, {place.name: content})


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write several, the last one last; none is moved to its place before all are written.

    Raises:
        FileUnwritable: one cannot be.
    """
    drafts = {folder / name: folder / f".{name}{_PARTIAL}" for name in files}
    made = not folder.exists()
    try:
        with _named(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for (path, draft), data in zip(drafts.items(), files.values(), strict=True):
            with _named(path):
                draft.write_bytes(data)
        for path, draft in drafts.items():
            with _named(path):
                draft.replace(path)
    finally:
        _tidy(folder, drafts.values(), made=made)


def _tidy(folder: Path, drafts: Iterable[Path], *, made: bool) -> None:
    """Drafts go, and a folder that was made for what did not come."""
    if not folder.is_dir():
        return
    for draft in drafts:
        with suppress(OSError):  # what stood in its way has been raised
            draft.unlink()
    if made and not any(folder.iterdir()):
        folder.rmdir()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnwritable(f"{path} cannot be written: {error.strerror}") from None
