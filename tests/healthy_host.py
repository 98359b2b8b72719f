"""A machine that is well, so that tests of a stack do not depend on the one that runs them."""

from __future__ import annotations

from pathlib import Path

from narrows.ops.doctor.host import PORTS, HostFacts
from narrows.ops.doctor.machine import HostMachine

GIB = 1 << 30
HEALTHY_MACHINE = HostMachine((3, 11), "Linux", "x86_64", (2, 36), (), Path("libpython3.11.so.1.0"), "/usr/bin/cc")
HEALTHY_HOST = HostFacts(
    machine=HEALTHY_MACHINE,
    folder=Path("/srv/narrows"),
    free_disk_bytes=100 * GIB,
    free_shm_bytes=GIB,
    most_files=65536,
    listening=dict.fromkeys(PORTS, False),
)
