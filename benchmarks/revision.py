"""Another commit's code, checked out beside this tree, its kernels compiled: what ``--against REV`` measures with.

It runs in this tree's environment, with ``PYTHONPATH`` set to its folder: dependencies are the same on both sides.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""This tree."""


@contextmanager
def checked_out(revision: str, folders: Sequence[str]) -> Iterator[Path]:
    """A temporary folder with these folders of a commit, ``narrows`` among them.

    Raises:
        SystemExit: there is no such commit, or its coder does not compile.
    """
    archived = subprocess.run(["git", "-C", str(ROOT), "archive", revision, *folders], capture_output=True, check=False)
    if archived.returncode:
        raise SystemExit(f"--against {revision}: {archived.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
            archive.extractall(folder, filter="data")
        build = [sys.executable, "-m", "narrows.contract.codec.build"]
        built = subprocess.run(build, cwd=folder, env=environment(Path(folder)), capture_output=True, check=False)
        if built.returncode:
            raise SystemExit(f"--against {revision}: its coder does not compile: {built.stderr.decode().strip()}")
        yield Path(folder)


def environment(tree: Path) -> dict[str, str]:
    """The variables of a child process that shall import the packages of ``tree``."""
    return {**os.environ, "PYTHONPATH": str(tree)}


def commit_of(revision: str) -> str:
    """The commit's id, shortened.

    Raises:
        SystemExit: there is no such commit.
    """
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", f"{revision}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"--against {revision}: {found.stderr.strip()}")
    return found.stdout.strip()
