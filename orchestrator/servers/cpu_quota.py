"""A share of the processor that a server may use at most: a control group of Linux, version 1 or 2.

The server enters its group before it executes, so all its threads and helpers are in it from their beginning::

    guardian ──► sh: enter the group, execute ──► tritonserver ──► stubs
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import ServiceError
from narrows.runtime.control_groups import MOUNTS, OWN_GROUPS, mounted, own_group

PERIOD_US = 20_000  # short, so that a batch is not held up for long once the share is used
_LEAST_US = 1_000  # the kernel takes no less
_LONGEST_PERIOD_US = 1_000_000  # nor longer periods
LEAST_CORES = _LEAST_US / _LONGEST_PERIOD_US
_ENTER = 'echo $$ > "$0" && exec "$@"'


class QuotaUnavailable(ServiceError):
    """This machine does not let us limit the processor time of a process."""


@dataclass(frozen=True, slots=True)
class CpuGroup:
    """A control group with a quota, in cores; it outlasts what runs in it."""

    folder: Path
    cores: float

    @property
    def launcher(self) -> Sequence[str]:
        """What to put before a command so that it runs in the group."""
        return ("/bin/sh", "-c", _ENTER, str(self.folder / "cgroup.procs"))

    def remove(self) -> None:
        """Remove the group, if nothing runs in it."""
        with suppress(OSError):
            self.folder.rmdir()


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where groups with a quota can be made: a folder, and the version of control groups that it is of."""

    folder: Path
    version: int

    def group(self, name: str, cores: float) -> CpuGroup:
        """Make a group, or take that of the name, and give it its quota.

        Args:
            name: of the folder.
            cores: processor seconds that it may use each second, at least :data:`LEAST_CORES`; of less than 0.05 the
                period is longer.

        Raises:
            QuotaUnavailable: the kernel or the file system refuses.
        """
        folder = self.folder / name
        period_us = min(_LONGEST_PERIOD_US, max(PERIOD_US, round(_LEAST_US / cores)))
        quota_us = max(_LEAST_US, round(cores * period_us))
        try:
            folder.mkdir(exist_ok=True)
            if self.version == 1:
                (folder / "cpu.cfs_period_us").write_text(str(period_us))
                (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (folder / "cpu.max").write_text(f"{quota_us} {period_us}")
        except OSError as error:
            raise _refused(f"{folder}: {error}") from None
        return CpuGroup(folder, quota_us / period_us)


def find_hierarchy(mounts: Path = MOUNTS, own_groups: Path = OWN_GROUPS) -> Hierarchy:
    """Where this process may make groups with a quota: below its own group, else beside it, else at the top.

    A controller is switched on for children of the own group alone: what lies above belongs to others.

    Raises:
        QuotaUnavailable: nowhere.
    """
    refusals = []
    for version, mount in mounted(mounts):
        for rank, folder in enumerate(_candidates(mount, own_group(version, own_groups))):
            try:
                _prepare(folder, version, ours=rank == 0)
            except OSError as error:
                refusals.append(str(error))
                continue
            return Hierarchy(folder, version)
    raise _refused("; ".join(refusals) or "no control groups with a `cpu` controller are mounted")


def _prepare(folder: Path, version: int, *, ours: bool) -> None:
    """See that a group made here would have a quota.

    Raises:
        OSError: it would not.
    """
    control = folder / "cgroup.subtree_control"
    if version == 2 and ours and "cpu" not in control.read_text().split():
        control.write_text("+cpu")
    probe = folder / f"narrows-probe-{os.getpid()}"
    probe.mkdir()
    try:
        (probe / ("cpu.cfs_quota_us" if version == 1 else "cpu.max")).read_text()
    finally:
        probe.rmdir()


def _candidates(mount: Path, own: str) -> list[Path]:
    """In a container the path of the own group may be the host's, and not be there."""
    below = mount / own.lstrip("/")
    return [folder for folder in dict.fromkeys((below, below.parent, mount)) if folder.is_relative_to(mount)]


def _refused(why: str) -> QuotaUnavailable:
    return QuotaUnavailable(
        f"processor time cannot be limited here ({why}): run as root, or in a control group that is delegated to this "
        "user with the cpu controller, or leave --cpu-quota out"
    )
