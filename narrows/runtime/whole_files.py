"""Files that are whole or as they were before, whenever the process is killed or the disk is full."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, data: bytes | str) -> None:
    """Put ``data`` in the place of a file, or leave what stood there.

    Raises:
        OSError: it cannot be written; ``filename`` is ``path``, which an error while writing does not have by itself.
    """
    content = data.encode() if isinstance(data, str) else data
    special = path.exists() and not path.is_file()  # /dev/stdout, a pipe: nothing to take the place of
    draft = path if special else path.with_name(f"{path.name}.partial")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        if not special:
            with suppress(OSError):
                draft.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None
