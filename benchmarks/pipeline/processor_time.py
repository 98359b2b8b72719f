"""Processor time of processes, from /proc: user and system time, of all threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds of processor time so far.

    Attributes:
        loop_s: the dispatcher's first thread, which runs its event loop.
        threads_s: its other threads (symbols, masks, gRPC), and the processes that it started.
        redis_s: the Redis server.
        triton_s: tritonserver and its backends.
    """

    loop_s: float
    threads_s: float
    redis_s: float
    triton_s: float

    @classmethod
    def read(cls, dispatcher: int | None, redis: int, triton: int) -> ProcessorTime:
        """Read it by process id; ``None`` for no dispatcher."""
        whole_s = 0.0 if dispatcher is None else tree_seconds(dispatcher)
        loop_s = 0.0 if dispatcher is None else _seconds(Path(f"/proc/{dispatcher}/task/{dispatcher}/stat"))
        return cls(loop_s, whole_s - loop_s, seconds(redis), _group_seconds(triton))

    @property
    def outside_triton_s(self) -> float:
        """Dispatcher and Redis."""
        return self.loop_s + self.threads_s + self.redis_s

    def since(self, before: ProcessorTime) -> ProcessorTime:
        """What was added since ``before``."""
        return ProcessorTime(
            self.loop_s - before.loop_s,
            self.threads_s - before.threads_s,
            self.redis_s - before.redis_s,
            self.triton_s - before.triton_s,
        )

    def per_frame_ms(self, frames: int) -> dict[str, float]:
        """Milliseconds a frame, by part."""
        parts = {"loop": self.loop_s, "threads": self.threads_s, "redis": self.redis_s, "triton": self.triton_s}
        return {name: 1000 * seconds / frames for name, seconds in parts.items()}


def seconds(pid: int) -> float:
    """One process, its threads included."""
    return _seconds(Path(f"/proc/{pid}/stat"))


def tree_seconds(root: int) -> float:
    """A process and all that it started, and they, and so on: those of `--processes` are in sessions of their own."""
    used_s: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent = int(stat.parent.name), int(_fields(stat)[1])
            used_s[pid] = _seconds(stat)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the reading
        children.setdefault(parent, []).append(pid)
    total_s, left = 0.0, [root]
    while left:
        pid = left.pop()
        total_s += used_s.get(pid, 0.0)
        left += children.get(pid, [])
    return total_s


def _fields(stat: Path) -> list[str]:
    """The fields of a stat file after the program's name, which may hold spaces; the first is the state."""
    return stat.read_text().rpartition(")")[2].split()


def _seconds(stat: Path) -> float:
    fields = _fields(stat)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _group_seconds(group: int) -> float:
    """All processes of a process group: a server and its stubs."""
    total_s = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(_fields(stat)[2]) == group:
                total_s += _seconds(stat)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the reading
    return total_s
