"""Every process of a contender, found by a variable in its environment: supervisors, workers, stubs, servers.

Process groups and parents will not do: Ray's daemons leave both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "PEERS_MARK"
_TICKS = os.sysconf("SC_CLK_TCK")


def processes(mark: str) -> Iterator[Path]:
    """The folders in ``/proc`` of the processes that carry the mark, but this one."""
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0") and folder.name != str(os.getpid()):
                yield folder


def processor_seconds(mark: str) -> float:
    """User and system time so far of all of them, and of their children that have ended."""
    total = 0
    for folder in processes(mark):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            total += sum(int(ticks) for ticks in fields[11:15])
    return total / _TICKS


def own_seconds() -> float:
    """What the harness itself has used."""
    return sum(os.times()[:2])


def find(mark: str, *, command: str = "", library: str = "") -> list[int]:
    """Ids of those whose command line has ``command`` in it, and that have loaded ``library``, a part of its path."""
    found = []
    for folder in processes(mark):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command in words and library in (folder / "maps").read_text():
                found.append(int(folder.name))
    return sorted(found)
