"""A signal that asks for the end interrupts no step."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from narrows.runtime.asked_to_end import hear_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_was_read_when_the_signal_came_is_counted(number: int) -> None:
    heard: list[int] = []
    counted: list[int] = []
    with hear_signals(heard.append):
        for line in range(3):
            os.kill(os.getpid(), number)  # between the reading and the counting
            counted.append(line)
            if heard:
                break
    assert (heard, counted) == ([number], [0])


def test_a_second_ctrl_c_cuts_short_and_a_second_order_to_end_does_not() -> None:
    heard: list[int] = []
    with hear_signals(heard.append):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert heard == [signal.SIGTERM]


def test_the_second_signal_has_its_new_meaning_after_the_block_too() -> None:
    with hear_signals(lambda _number: None):
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)  # changes nothing
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_without_a_signal_everything_is_as_before() -> None:
    with hear_signals(lambda _number: None):
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.default_int_handler] * 3


def test_what_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard: list[int] = []
    with hear_signals(heard.append):
        os.kill(os.getpid(), signal.SIGHUP)
    assert heard == []
