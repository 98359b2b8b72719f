"""Make the virtual environments of this checkout: ``python3 -m tools.setup_environment [--dev] [--train]``.

What is up to date is left alone, so that it costs nothing to ask.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from narrows.doctor.machine import Machine, problems
from tools.environments import Environment, planned
from tools.step_runner import StepFailed, run_step

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Check the machine, make what is stale; answers the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also install what tests and benchmarks need")
    parser.add_argument("--train", action="store_true", help="also make the workshop's environment, with torch")
    options = parser.parse_args()
    machine = Machine.look()
    environments = planned(dev=options.dev, train=options.train, compiler=machine.compiler is not None)
    if all(environment.is_current(ROOT) for environment in environments):
        return 0
    found = problems(machine)
    if found:
        print("This machine cannot run Narrows yet:", *(f"  - {problem}" for problem in found), sep="\n")
        return 1
    return _make_all(environments)


def _make_all(environments: list[Environment]) -> int:
    lock = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # a second make waits here, and then finds all done
    try:
        for environment in environments:
            if not environment.is_current(ROOT):
                _make(environment)
    except StepFailed as failure:
        print(failure)
        return 1
    finally:
        os.close(lock)
    return 0


def _make(environment: Environment) -> None:
    python = ROOT / environment.name / "bin" / "python"
    if not _runs(python):
        create = [sys.executable, "-m", "venv", "--clear", str(ROOT / environment.name)]
        run_step(f"{environment.name}: create the environment", create, ROOT)
    for step in environment.steps:
        run_step(f"{environment.name}: {step.label}", [str(python), *step.arguments], ROOT)
    environment.mark_current(ROOT)


def _runs(python: Path) -> bool:
    """Whether the environment is there, whole, and of the Python that runs this."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    question = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", question], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == version


if __name__ == "__main__":
    sys.exit(main())
