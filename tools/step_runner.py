"""Run one step of a set-up, and show on the terminal that it goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

REDRAW_S = 0.5
_ERASE = "\r\033[K"


class StepFailed(Exception):
    """A step failed; the message has its command and its words."""


def run_step(label: str, command: Sequence[str], folder: Path) -> float:
    """Run ``command`` in ``folder``; a terminal sees the seconds go by, anything else two halves of a line.

    Returns:
        How long it took, in seconds.

    Raises:
        StepFailed: it ended with another status than 0.
    """
    redraws = sys.stdout.isatty()
    print(f"{label} ...", end="", flush=True)
    began_s = time.monotonic()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while True:
            try:
                words, _ = process.communicate(timeout=REDRAW_S)
                break
            except subprocess.TimeoutExpired:
                if redraws:
                    print(f"{_ERASE}{label} ... {time.monotonic() - began_s:.0f} s", end="", flush=True)
    took_s = time.monotonic() - began_s
    ending = f"{took_s:.0f} s" if process.returncode == 0 else "failed"
    print(f"{_ERASE}{label} ... {ending}" if redraws else f" {ending}", flush=True)
    if process.returncode:
        raise StepFailed(f"{' '.join(command)}\n{words}".rstrip())
    return took_s
