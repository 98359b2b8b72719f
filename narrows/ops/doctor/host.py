"""This machine: Python, C library, compiler, room on disk and in memory, limits, ports."""

from __future__ import annotations

import resource
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from narrows.ops.doctor.machine import HostMachine, dotted, problems
from narrows.runtime.finding import Finding, fail, ok, warn

GIB, MIB = 1 << 30, 1 << 20
LEAST_DISK_BYTES, FAIR_DISK_BYTES = 1 * GIB, 5 * GIB
LEAST_SHM_BYTES, FAIR_SHM_BYTES = 16 * MIB, 128 * MIB
LEAST_FILES = 1024
PORTS = {6379: "Redis", 8001: "Triton", 9464: "the dispatcher"}
_SHM = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What was found on this machine.

    Attributes:
        folder: where the disk was looked at.
        free_disk_bytes: room left on that disk.
        free_shm_bytes: room left in shared memory; ``None`` if there is none.
        most_files: how many files and connections one process may have open; negative for any number.
        listening: for each usual port, whether something listens there.
    """

    machine: HostMachine
    folder: Path
    free_disk_bytes: int
    free_shm_bytes: int | None
    most_files: int
    listening: Mapping[int, bool]


def gather() -> HostFacts:
    """Look at the machine that runs this."""
    return HostFacts(
        machine=HostMachine.look(),
        folder=Path.cwd(),
        free_disk_bytes=shutil.disk_usage(Path.cwd()).free,
        free_shm_bytes=shutil.disk_usage(_SHM).free if _SHM.is_dir() else None,
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        listening={port: _listens(port) for port in PORTS},
    )


def judge(facts: HostFacts) -> Iterator[Finding]:
    """Everything of this machine that is not Narrows itself."""
    yield from judge_machine(facts.machine)
    yield judge_disk(facts.folder, facts.free_disk_bytes)
    yield judge_shm(facts.free_shm_bytes)
    yield judge_files(facts.most_files)
    yield judge_ports(facts.listening)


def judge_machine(machine: HostMachine) -> Iterator[Finding]:
    """A line each for Python, its shared library, the system and the compiler."""
    found = problems(machine)
    yield from (fail(each.subject, each.detail, each.remedy) for each in found)
    troubled = {each.subject for each in found}
    glibc = f", glibc {dotted(machine.glibc)}" if machine.glibc else ""
    well = {
        "Python": dotted(machine.python),
        "libpython": str(machine.libpython),
        "system": f"{machine.system} on {machine.architecture}{glibc}",
    }
    yield from (ok(subject, detail) for subject, detail in well.items() if subject not in troubled)
    yield ok("compiler", machine.compiler or "none; ziglang takes its place")


def judge_disk(folder: Path, free_bytes: int) -> Finding:
    """Room for logs, data and models."""
    detail = f"{free_bytes / GIB:.1f} GiB free at {folder}"
    if free_bytes < LEAST_DISK_BYTES:
        return fail("disk", detail, "make room: Redis stops writing when its log cannot grow")
    if free_bytes < FAIR_DISK_BYTES:
        return warn("disk", detail, "make room: set-up takes 1 GB, its workshop 6 GB, and Redis keeps a log")
    return ok("disk", detail)


def judge_shm(free_bytes: int | None) -> Finding:
    """Shared memory, through which batches reach Triton; ``None`` if there is none."""
    remedy = "mount -o remount,size=1G /dev/shm, or in a container --shm-size=1g (compose: shm_size)"
    if free_bytes is None:
        return fail("shared memory", "there is no /dev/shm", remedy)
    detail = f"{free_bytes / MIB:.0f} MiB free in /dev/shm"
    if free_bytes < LEAST_SHM_BYTES:
        return fail("shared memory", detail, remedy)
    return ok("shared memory", detail) if free_bytes >= FAIR_SHM_BYTES else warn("shared memory", detail, remedy)


def judge_files(limit: int) -> Finding:
    """How many files and connections one process may have open."""
    detail = "unlimited" if limit < 0 else f"{limit} a process"
    if 0 <= limit < LEAST_FILES:
        return warn("open files", detail, "ulimit -n 65536, or LimitNOFILE= of the service: cameras are connections")
    return ok("open files", detail)


def judge_ports(listening: Mapping[int, bool]) -> Finding:
    """Which of the usual ports have a listener; whether it is the right one, the checks of the stack say."""
    said = [f"{port} ({PORTS[port]}) {'in use' if taken else 'free'}" for port, taken in listening.items()]
    return ok("ports", ", ".join(said))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
