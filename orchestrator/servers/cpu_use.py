"""What a server uses of the processor, with all that it started."""

from __future__ import annotations

import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def used_s(group: Path, processes: Path = Path("/proc")) -> float:
    """Processor seconds of the processes in a control group, and of the children that they outlived."""
    try:
        pids = (group / "cgroup.procs").read_text().split()
    except OSError:
        return 0.0
    return sum(_process_s(processes / pid / "stat") for pid in pids)


def _process_s(stat: Path) -> float:
    """The fields 14 to 17 of ``proc(5)``: utime, stime, cutime, cstime."""
    try:
        fields = stat.read_text().rpartition(") ")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) * _TICK_S
    except (OSError, ValueError):
        return 0.0  # it just ended
