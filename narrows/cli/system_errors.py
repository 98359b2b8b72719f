"""What the system refuses a command, as one sentence: which file, and what to do."""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.EACCES: "give one that this account may use",
    errno.EDQUOT: "make room, or name a place elsewhere",
    errno.EEXIST: "a file is in the way of a folder: name another place",
    errno.EISDIR: "name a file, not a folder",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOENT: "check the path, and make the folder that it is in",
    errno.ENOSPC: "make room, or name a place elsewhere",
    errno.ENOTDIR: "a file is in the way of a folder: name another place",
    errno.EPERM: "give one that this account may use",
    errno.EROFS: "name a place that can be written",
}
"""What a caller can do about it, by what the system says."""
_WITHOUT_A_NAME = frozenset({errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EROFS})
"""What writing to a file that is open already raises: no name comes with it, and it is no bug all the same."""


def told(error: OSError) -> str | None:
    """One sentence for a file or folder that the system refuses; ``None`` of what may be a bug.

    Example:
        >>> told(FileExistsError(17, "File exists", "runs/mine"))
        'runs/mine: File exists; a file is in the way of a folder: name another place'
    """
    if error.filename is None and error.errno not in _WITHOUT_A_NAME:
        return None
    where = "" if error.filename is None else f"{error.filename if error.filename2 is None else error.filename2}: "
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{where}{error.strerror or error}{'' if remedy is None else '; ' + remedy}"
