"""Programs of ours as processes, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 90.0


@contextmanager
def program(log: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """``narrows ARGUMENTS`` while the context lasts, its words in ``log``."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "narrows.cli", *arguments],
            stdout=out,
            stderr=out,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def until(claim: Callable[[], object], log: Path) -> None:
    """Wait until a claim holds; fail with the log if it never does."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < give_up_s, log.read_text()
        time.sleep(0.05)
