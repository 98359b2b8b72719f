"""What asks a command to end lets it tidy up first."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_COMMAND = """
import sys, time
from narrows.cli.termination import unwind_on_signals
unwind_on_signals()
try:
    print("begun", flush=True)
    time.sleep(60)
finally:
    print("tidied", flush=True)
"""


@pytest.mark.usefixtures("hang_up_ends")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_told_to_end_tidies_up(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _COMMAND], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.stdout.read() == "tidied\n"
    assert process.returncode == 128 + number


def test_one_that_was_told_to_ignore_a_hang_up_goes_on() -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + _COMMAND
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert process.returncode == 128 + signal.SIGTERM
