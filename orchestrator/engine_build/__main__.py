"""The step of the stack: ``PRECISION=fp16 python3 -m orchestrator.engine_build``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from orchestrator.engine_build.plan import BuildMachine, version_in
from orchestrator.engine_build.repository import fill

_MODELS, _CACHE = Path("/models"), Path("/engines")
_TRTEXEC = shutil.which("trtexec", path=f"{os.environ.get('PATH', os.defpath)}:/usr/src/tensorrt/bin")
_GPU = ("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader")
_LONGEST_S, _WORDS = 3600, 3


def main() -> int:
    """Say a line a model; answers 1 only if the folders cannot be used. SIGTERM ends it, and ``trtexec`` with it."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # as the first process it is not the default
    try:
        for line in fill(_MODELS, _CACHE, _look(), os.environ.get("PRECISION", "fp16"), _build):
            print(line, flush=True)  # noqa: T201 - the container's log
    except OSError as error:
        print(f"{error}: are both volumes there, and writable?", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _look() -> BuildMachine:
    said = _said([_TRTEXEC, "--help"]) if _TRTEXEC else None
    gpus = _said([*_GPU]) if shutil.which(_GPU[0]) else None
    return BuildMachine(version_in(said or ""), gpus.splitlines()[0].strip() if gpus and gpus.strip() else None)


def _said(command: list[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else None


def _build(options: list[str]) -> str | None:
    try:
        command = [str(_TRTEXEC), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return f"trtexec took longer than {_LONGEST_S} s"
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "[E]" in line][-_WORDS:]
    return f"trtexec ended with {done.returncode}: {' '.join(errors)}" if done.returncode else None


if __name__ == "__main__":
    sys.exit(main())
