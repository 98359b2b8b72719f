"""Check the machine, and make those virtual environments of this checkout that are stale.

What is up to date is left alone, so that it costs nothing to ask.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

from narrows.ops.doctor.machine import HostMachine, dotted, problems
from tools.environments import Environment, planned
from tools.step_runner import StepFailed, run_step

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = 130
"""The exit status that shells give a program ended by Ctrl-C."""
_DISK_FULL = "the disk is full: the environments take about 1.5 GB, and 2 GB more with torch (`df -h .`)"
_NOT_REACHED = (
    r"Failed to establish a new connection|Temporary failure in name resolution|Max retries exceeded|"
    r"Read timed out|ProxyError|SSLError|No matching distribution found"
)
_REMEDIES = (
    (r"No space left on device|Disk quota exceeded", _DISK_FULL),
    (
        _NOT_REACHED,
        "is the package registry reached? See the network, HTTPS_PROXY and PIP_INDEX_URL; then run it again",
    ),
)


def main() -> int:
    """Make what is stale; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.setup_environment", description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also install what tests and benchmarks need")
    parser.add_argument("--train", action="store_true", help="also make the workshop's environment, with torch")
    parser.add_argument("--lowest", action="store_true", help="also make one with the lowest versions admitted")
    parser.add_argument("--peers", action="store_true", help="also make one with the peers of make bench-peers")
    parser.add_argument("--engines", action="store_true", help="also make one with TensorRT-RTX (proprietary)")
    parser.add_argument(
        "--keep-python", action="store_true", help="leave environments as they are that another Python made"
    )
    options = parser.parse_args()
    machine = HostMachine.look()
    environments = planned(
        dev=options.dev,
        train=options.train,
        compiler=machine.compiler is not None,
        lowest=options.lowest,
        engines=options.engines,
        peers=options.peers,
    )
    stale = [each for each in environments if not _is_good(each, keep_python=options.keep_python)]
    if not stale:
        return 0
    found = problems(machine)
    if found:
        print("This machine cannot run Narrows yet:", *(f"  - {problem}" for problem in found), sep="\n")
        return 1
    try:
        _make_all(environments, keep_python=options.keep_python)
    except StepFailed as failure:
        print(failure, *remedies(str(failure)), sep="\n")
        return 1
    except OSError as error:
        print(f"set-up ended early: {error}", *([_DISK_FULL] if error.errno == errno.ENOSPC else []), sep="\n")
        return 1
    except KeyboardInterrupt:
        print("\nset-up was interrupted: run it again, it goes on where it was")
        return INTERRUPTED
    return 0


def remedies(words: str) -> list[str]:
    """What to do about a step that failed with these words."""
    return [remedy for sign, remedy in _REMEDIES if re.search(sign, words)][:1]


def _is_good(environment: Environment, *, keep_python: bool) -> bool:
    return environment.is_current(ROOT) and (keep_python or _same_python(ROOT / environment.name))


def _make_all(environments: list[Environment], *, keep_python: bool) -> None:
    lock = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # a second make waits here, and then finds all done
    try:
        for environment in environments:
            if not _is_good(environment, keep_python=keep_python):
                _make(environment)
    finally:
        os.close(lock)


def _make(environment: Environment) -> None:
    folder = ROOT / environment.name
    python = folder / "bin" / "python"
    if not (_same_python(folder) and _runs(python)):
        if (there := version_of(folder)) is not None:
            print(f"{folder.name} has Python {there}: it is made anew with {dotted(sys.version_info[:3])}, {_base()}")
        create = [sys.executable, "-m", "venv", "--clear", str(folder)]
        run_step(f"{environment.name}: create the environment", create, ROOT)
    for step in environment.steps:
        run_step(f"{environment.name}: {step.label}", [str(python), *step.arguments], ROOT)
    environment.mark_current(ROOT)


def version_of(folder: Path) -> str | None:
    """The version of the Python that an environment was made with; ``None`` if there is none."""
    try:
        text = (folder / "pyvenv.cfg").read_text()
    except OSError:
        return None
    found = re.search(r"^version(?:_info)?\s*=\s*([\d.]+)", text, re.MULTILINE)
    return found[1] if found else None


def _same_python(folder: Path) -> bool:
    """Whether an environment is of the very Python that runs this."""
    return (folder / "bin" / "python").resolve() == _base()


def _base() -> Path:
    return Path(sys.executable).resolve()


def _runs(python: Path) -> bool:
    """Whether the environment is whole."""
    try:
        return subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
