"""Files that hold secrets: nobody but their owner may read them, and a reader never sees half of one.

What root writes belongs to the owner of the folder that it is in, so that the program that it is for can read it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from narrows.contract.errors import SecretError

_OTHERS = 0o077
_ACL_MASK = 0o070
_MAX_BYTES = 1 << 22


def read_secret(path: Path) -> bytes:
    """A secret file's bytes.

    Raises:
        SecretError: it cannot be read, is beyond 4 MiB, or others than its owner may read or write it.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            _check_tight(path, found.st_mode & ~_ACL_MASK if _is_credential(path) else found.st_mode)
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SecretError(f"{path} cannot be read ({error.strerror})") from None
    if len(data) > _MAX_BYTES:
        raise SecretError(f"{path} is larger than any secret: at most {_MAX_BYTES} bytes are read")
    return data


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all; it replaces one of that name.

    Raises:
        SecretError: it cannot be written.
    """
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            _give(file.fileno(), path.parent)
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise SecretError(f"{path} cannot be written ({error.strerror})") from None


def make_secret_folder(folder: Path) -> None:
    """A folder that its owner alone may enter, made if it is not there.

    Raises:
        SecretError: it cannot be made, or others may enter it.
    """
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _give(folder, folder.parent)
    except OSError as error:
        raise SecretError(f"{folder} cannot be made ({error.strerror})") from None
    check_secret_folder(folder)


def check_secret_folder(folder: Path) -> None:
    """Refuse a folder that others may enter.

    Raises:
        SecretError: it is not there, is no folder, or others may enter it.
    """
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise SecretError(f"{folder} cannot be read ({error.strerror}): `narrows keys init` makes it") from None
    if not stat.S_ISDIR(mode):
        raise SecretError(f"{folder} is no folder")
    _check_tight(folder, mode)


def _give(made: int | Path, folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def _is_credential(path: Path) -> bool:
    """Whether systemd gave us the file (``LoadCredential=``): its access list shows as the group's bits."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and path.parent == Path(folder)


def _check_tight(path: Path, mode: int) -> None:
    if mode & _OTHERS:
        right = "700" if stat.S_ISDIR(mode) else "600"
        raise SecretError(f"{path} has mode {stat.S_IMODE(mode):04o}: others may know it by now; then chmod {right}")
