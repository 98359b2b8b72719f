"""Control groups of Linux, version 1 and 2: where they are mounted, and how much of the processor ours may use.

A container's ``cpus:``, a unit's ``CPUQuota=`` and a pod's limit all end here (``cpu.max`` in the kernel's
Documentation/admin-guide/cgroup-v2.rst, ``cpu.cfs_quota_us`` in scheduler/sched-bwc.rst).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MOUNTS, OWN_GROUPS = Path("/proc/self/mounts"), Path("/proc/self/cgroup")


def mounted(mounts: Path = MOUNTS) -> list[tuple[int, Path]]:
    """Hierarchies with a ``cpu`` controller: their version, and where they are mounted."""
    found = []
    for line in _lines(mounts):
        _, folder, kind, options, *_ = line.split(" ")
        folder = _unescaped(folder)
        if kind == "cgroup" and "cpu" in options.split(","):
            found.append((1, Path(folder)))
        if kind == "cgroup2" and "cpu" in _words(Path(folder) / "cgroup.controllers"):
            found.append((2, Path(folder)))
    return found


def own_group(version: int, own_groups: Path = OWN_GROUPS) -> str:
    """The path of this process's group: lines are ``number:controllers:path``, of version 2 without controllers."""
    wanted: Callable[[str], bool] = (lambda names: "cpu" in names.split(",")) if version == 1 else (lambda n: not n)
    for line in _lines(own_groups):
        _, names, path = line.split(":", 2)
        if wanted(names):
            return path
    return "/"


@dataclass(frozen=True)
class CpuLimit:
    """What the groups of this process leave it of the processor, as it is now."""

    hierarchies: tuple[tuple[int, Path], ...]
    own_groups: Path = OWN_GROUPS

    @classmethod
    def here(cls) -> Self:
        """Of this machine: none where there are no control groups."""
        return cls(tuple(mounted()))

    def cores(self) -> float:
        """Processor seconds that may be used each second; infinite where nothing limits them."""
        return min((_cores(group, version) for version, group in self._groups()), default=math.inf)

    def _groups(self) -> Iterator[tuple[int, Path]]:
        """Ours and all above it; in a container its path may be the host's, and only the top is there."""
        for version, mount in self.hierarchies:
            below = own_group(version, self.own_groups).lstrip("/")
            group = mount / below
            while group != mount and group.is_relative_to(mount):
                yield version, group
                group = group.parent
            yield version, mount


def _cores(group: Path, version: int) -> float:
    """A group that has no limit says ``max``, or a quota below 0; the top one has no such file."""
    try:
        if version == 1:
            quota_us = int((group / "cpu.cfs_quota_us").read_text())
            period_us = int((group / "cpu.cfs_period_us").read_text())
        else:
            quota, period = (group / "cpu.max").read_text().split()
            quota_us, period_us = -1 if quota == "max" else int(quota), int(period)
    except (OSError, ValueError):
        return math.inf
    return quota_us / period_us if quota_us > 0 and period_us > 0 else math.inf


def _unescaped(folder: str) -> str:
    """Blanks, tabs, line ends, backslashes and ``#`` are three octal digits in the kernel's tables (getmntent(3))."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), folder)


def _lines(path: Path) -> list[str]:
    """Paths in it may be of any bytes, those that :meth:`str.splitlines` takes for a line's end too."""
    try:
        return [line for line in os.fsdecode(path.read_bytes()).split("\n") if line]
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]
