"""A program ends in its own order at the first signal, and at once at the next."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

LOOP = """
import asyncio
import structlog
from narrows.runtime.run_program import run_program

hurry = asyncio.Event() if {hurry} else None

async def main(stop):
    print("begun", flush=True)
    await stop.wait()
    print("stopping", flush=True)
    await (hurry.wait() if hurry else asyncio.sleep({linger_s}))
    try:
        raise ValueError("odd")
    except ValueError as error:
        structlog.get_logger().error("loop_crashed", exc_info=error)
    print("ended", flush=True)

run_program(main, "warning", hurry=hurry)
"""
THREADS = """
import time
from narrows.runtime.run_program import stop_on_signals

stop = stop_on_signals()
print("begun", flush=True)
while not stop.wait(1):
    pass
print("stopping", flush=True)
time.sleep({linger_s})
print("ended", flush=True)
"""
KINDS = pytest.mark.parametrize("kind", [LOOP, THREADS], ids=["loop", "threads"])
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@contextmanager
def begun(kind: str, *, hurry: bool = False, linger_s: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    code = kind.format(hurry=hurry, linger_s=linger_s)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True) as process:
        assert line(process) == "begun"
        yield process


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@KINDS
@SIGNALS
def test_the_first_signal_ends_it_in_its_own_order(kind: str, number: signal.Signals) -> None:
    with begun(kind) as process:
        process.send_signal(number)
        assert [line(process), line(process)] == ["stopping", "ended"]
    assert process.returncode == 0


@KINDS
@SIGNALS
def test_the_second_signal_ends_it_at_once(kind: str, number: signal.Signals) -> None:
    with begun(kind, linger_s=600) as process:
        process.send_signal(signal.SIGTERM)
        assert line(process) == "stopping"
        process.send_signal(number)
    assert process.returncode == -number


def test_where_something_can_be_cut_short_the_second_signal_does_that_and_the_third_ends_it() -> None:
    with begun(LOOP, hurry=True) as process:
        process.send_signal(signal.SIGTERM)
        assert line(process) == "stopping"
        process.send_signal(signal.SIGTERM)
        assert line(process) == "ended"
    assert process.returncode == 0


def test_an_event_is_one_line_of_logfmt_with_its_traceback() -> None:
    with begun(LOOP) as process:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate()
    (only,) = told.splitlines()
    assert "level=error event=loop_crashed" in only
    assert "Traceback" in only
    assert "ValueError: odd" in only
