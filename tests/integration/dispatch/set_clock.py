"""A real Redis-protocol server whose wall clock a test sets, while its monotonic clock goes on."""

import os
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.servers import LocalRedis

_SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t ahead_s(void) {
    static volatile int64_t *shared;
    static int64_t none;
    if (!shared) {
        const char *path = getenv("NARROWS_TEST_AHEAD");
        int file = path ? open(path, O_RDONLY) : -1;
        void *mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof *shared, PROT_READ, MAP_SHARED, file, 0);
        shared = mapped == MAP_FAILED ? &none : mapped;
    }
    return *shared;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = (int)syscall(SYS_clock_gettime, clock, time);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += ahead_s();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &time)) return -1;
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    if (now) *now = time.tv_sec;
    return time.tv_sec;
}
"""


class SetClock:
    """The clock of a server: so many seconds ahead of this machine's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.write_bytes(struct.pack("=q", 0))

    def ahead(self, seconds: int) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))


@contextmanager
def redis_with_a_clock(folder: Path, *, ahead_s: int = 0) -> Iterator[tuple[LocalRedis, SetClock]]:
    """The server and its clock."""
    clock = SetClock(folder / "ahead")
    clock.ahead(ahead_s)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NARROWS_TEST_AHEAD", str(folder / "ahead"))
        patch.setenv("LD_PRELOAD", str(_shim(folder)))
        server = LocalRedis.start(folder)
    with server:
        yield server, clock


def _shim(folder: Path) -> Path:
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SHIM)
    compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or sys.executable]
    zig = ["-m", "ziglang", "cc"] if compiler[0] == sys.executable else []
    subprocess.run([*compiler, *zig, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library
