"""A folder that one process works in at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from narrows.contract.errors import ServiceError

_LOCK = "lock"


@contextmanager
def own_folder(folder: Path, whose: str, remedy: str) -> Iterator[None]:
    """Make the folder and have it alone; the lock goes with the process, in whatever way it ends.

    Args:
        folder: made where it is missing.
        whose: who else may have it, for the message.
        remedy: which options give another.

    Raises:
        ServiceError: another process has it, or it cannot be written.
    """
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = held.enter_context((folder / _LOCK).open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"{folder} is {whose}'s: give this one another {remedy}") from None
        except OSError as error:
            raise ServiceError(f"{folder} cannot be written ({error.strerror}): give another {remedy}") from None
        yield
