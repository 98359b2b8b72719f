"""Keep one child process, and end it when its owner is gone.

The owner holds the only write end of the pipe that is this program's standard input, so its end of file means that the
owner stopped us, or died in whatever way, SIGKILL included. Then the child gets SIGTERM, some grace, and its whole
process group SIGKILL; its shared memory is unlinked::

    owner ──stdin (held open)──▶ guardian (own session) ──▶ child (own session) ──▶ its helpers

Only the standard library, and nothing of ours: it runs by its path, and starts in some 20 ms.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
_OWNER_FD = 0
_BLOCK = 256
_KILL_S = 5.0
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the child, wait for its end or the owner's, leave nothing behind; answers the child's exit status."""
    options = _parse(arguments)
    signals = _receive_signals()
    _adopt_orphans()
    try:
        child = _start(options)
    except OSError as error:
        _report(options.report_fd, f"error {error}")
        return 127
    _report(options.report_fd, f"pid {child.pid}")
    _wait(child, signals)
    _end(child, options.grace_s)
    unlink_shared_memory(options.shm_prefix)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def unlink_shared_memory(prefix: str) -> None:
    """Unlink the shared memory objects whose names begin with ``prefix``; an empty prefix names none."""
    if not prefix or not SHARED_MEMORY.is_dir():
        return
    for entry in SHARED_MEMORY.iterdir():
        if entry.name.startswith(prefix):
            entry.unlink(missing_ok=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report-fd", type=int, required=True)
    parser.add_argument("--grace-s", type=float, default=5.0)
    parser.add_argument("--shm-prefix", default="")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="for the child alone")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _receive_signals() -> int:
    """Turn signals into bytes on a pipe. The handlers do nothing: unlike ignoring, that ends at the child's exec."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return read_fd


def _adopt_orphans() -> None:
    """Become the parent of the child's orphans, so that they are reaped even where PID 1 reaps nothing."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _start(options: argparse.Namespace) -> subprocess.Popen[bytes]:
    environment = os.environ | dict(item.split("=", 1) for item in options.set)
    return subprocess.Popen(options.command, stdin=subprocess.DEVNULL, start_new_session=True, env=environment)


def _report(report_fd: int, line: str) -> None:
    with os.fdopen(report_fd, "w") as report:
        report.write(line + "\n")


def _wait(child: subprocess.Popen[bytes], signals: int) -> None:
    """Return when the child has ended, the owner is gone, or somebody asks us to end."""
    while child.poll() is None:
        readable, _, _ = select.select([_OWNER_FD, signals], [], [])
        if _OWNER_FD in readable and not os.read(_OWNER_FD, _BLOCK):
            return
        if signals in readable and signal.SIGTERM in os.read(signals, _BLOCK):
            return


def _end(child: subprocess.Popen[bytes], grace_s: float) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    _clear_group(child.pid)


def _clear_group(group: int) -> None:
    """Kill and reap what is left of the child's process group."""
    give_up = time.monotonic() + _KILL_S
    while time.monotonic() < give_up:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        _reap(group)
        time.sleep(0.01)


def _reap(group: int) -> None:
    try:
        while os.waitpid(-group, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    sys.exit(main())
