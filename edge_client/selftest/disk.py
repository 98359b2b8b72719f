"""Is there a place for the boot epoch and the spool, and a key to seal with?"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from edge_client.encode.sealing import Sealing
from edge_client.settings import EdgeSettings
from edge_client.state import StateFolder
from narrows.contract.errors import NarrowsError, StateError
from narrows.runtime.finding import Finding, fail, ok, warn

_SPARE_BYTES = 16_000_000


def check_state(settings: EdgeSettings) -> Finding:
    """The state folder can be written, nobody else holds it, and the spool fits its disk."""
    folder = settings.state_folder
    try:
        with StateFolder(folder):
            _write_and_remove(folder / "selftest")
    except StateError as error:
        if "in use" in str(error):
            return warn("state", str(error), "stop it, if the self-test should be of this program")
        return fail("state", str(error), "give a writable --state-dir on a disk that outlives the program")
    except OSError as error:
        return fail("state", f"{folder} cannot be written: {error.strerror}", "give another --state-dir")
    free_bytes = shutil.disk_usage(folder).free
    spool = f", spool {settings.spool_mb:g} MB" if settings.spool_mb else ""
    detail = f"{folder}, {free_bytes / 1e6:.0f} MB free{spool}"
    if free_bytes < settings.spool_mb * 1e6 + _SPARE_BYTES:
        return warn("state", detail, "free some disk, or lower --spool-mb")
    return ok("state", detail)


def check_key(settings: EdgeSettings) -> Finding:
    """What packets are sealed with."""
    if settings.key_file is None:
        return ok("key", "none: packets are open")
    try:
        sealing = Sealing(settings.key_file, settings.stream, time.monotonic)
    except NarrowsError as error:
        return fail("key", str(error), "copy the file that `narrows keys issue` wrote for this stream, mode 600")
    return ok("key", f"{settings.key_file}, key id {sealing.key_id}")


def _write_and_remove(path: Path) -> None:
    path.write_bytes(b"narrows")
    path.unlink()
