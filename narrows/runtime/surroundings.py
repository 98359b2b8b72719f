"""What a program asks of the account and machine that it runs as: none of it need be there.

A container's user id often has no entry in ``/etc/passwd``, a service no ``HOME``, a host name odd bytes. Everything of
ours asks here, so that each has one answer.
"""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from narrows.contract.errors import ServiceError, StateError

_MOST_NAMED = 128
"""Characters, of whoever is named: an audit keeps ten thousand, a camera's records have no more room."""


def caller(named: str | None = None) -> str:
    """Who calls, for people and the audit: as ``named``, cut to what records hold, or ``USER@HOST``.

    A user without a name goes by its number.
    """
    if named:
        return named[:_MOST_NAMED].encode("utf-8", "replace").decode()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry: the former before Python 3.13
        user = ""
    return f"{_printable(user) or f'uid-{os.getuid()}'}@{host_name()}"


def host_name() -> str:
    """The machine's own name, in ASCII and never empty."""
    return _printable(socket.gethostname()) or "host"


def state_home() -> Path:
    """``$XDG_STATE_HOME``, else ``~/.local/state`` (XDG base directories; a relative value is ignored, as it says).

    Raises:
        StateError: there is no home folder.
    """
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if base.is_absolute():
        return base
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:
        raise StateError(
            f"user id {os.getuid()} has no home folder to keep state in: set HOME, or --state-dir"
        ) from None


def expanded(text: str) -> Path:
    """A path with ``~`` and ``~USER`` filled in where there is such a home folder, else as it stands."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for drafts, gone at the end.

    Raises:
        ServiceError: there is no place for temporary files.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="narrows-")
    except OSError as error:
        raise ServiceError(
            f"no place for temporary files ({error}): set TMPDIR to a folder that can be written"
        ) from None
    with folder as path:
        yield Path(path)


def _printable(text: str) -> str:
    return "".join(each if each.isascii() and each.isprintable() and each != " " else "?" for each in text)
