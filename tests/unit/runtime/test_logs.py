"""A log that cannot be written costs its lines, and nothing of what it tells of."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
LOOP = """
import asyncio
from narrows.runtime.logs import configure_logs
from narrows.runtime.loop_guard import LoopGuard

rounds = []


async def loop() -> None:
    rounds.append(1)
    if len(rounds) < 3:
        raise ZeroDivisionError(len(rounds))


configure_logs()
asyncio.run(LoopGuard().keep("a loop", loop))
print(len(rounds))
"""


def rounds_with(stderr: int) -> bytes:
    """How often a loop was begun that crashes twice, in a program whose log goes there."""
    return subprocess.run([sys.executable, "-c", LOOP], stdout=subprocess.PIPE, stderr=stderr, check=False).stdout


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_loop_goes_on_while_the_disk_of_its_log_is_full() -> None:
    with FULL.open("wb") as full:
        assert rounds_with(full.fileno()) == b"3\n"


def test_a_loop_goes_on_when_the_reader_of_its_log_is_gone() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert rounds_with(writer) == b"3\n"
    finally:
        os.close(writer)
