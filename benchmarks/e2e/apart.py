"""A run in namespaces of its own for network, mounts, processes and host name: nothing of it outlives it.

The program there is the first process of its kind: with it ends everything that it started, containers among it, and
with the last process go its networks and mounts.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
_APART = ("unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
_PROGRAMS = ("unshare", "ip", "mount", "apt-get")


def missing() -> str:
    """What such a run needs and this machine or user has not; empty where there is nothing."""
    if os.geteuid() != 0:
        return "root"
    return ", ".join(name for name in _PROGRAMS if shutil.which(name) is None)


def stop_by_signals() -> None:
    """SIGTERM is as Ctrl-C from now on, and Ctrl-C works where a shell had taken it away."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _stop)


def run_apart(module: str, *words: str) -> None:
    """Run a module apart; whatever ends this ends it.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [*_APART, sys.executable, "-m", module, *words]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as child:
        try:
            if status := child.wait():
                raise subprocess.CalledProcessError(status, command)
        finally:
            for first in _children(child.pid):
                os.kill(first, signal.SIGKILL)
            child.wait()  # until the last of its processes is gone


@contextmanager
def run_folder(cache: Path) -> Iterator[Path]:
    """A folder for one run, beside what is kept between runs."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=cache))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def remove_control_groups(name: str) -> None:
    """Remove the empty control groups that containers leave."""
    for group in sorted(Path("/sys/fs/cgroup").glob(f"**/{name}/**/"), reverse=True):
        group.rmdir()


def _children(pid: int) -> Sequence[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
