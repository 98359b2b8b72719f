"""Signals that ask a program to end, heard between two steps: what a step has read, it also counts."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def hear_signals(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Call ``on_signal`` with the first of SIGINT, SIGTERM and SIGHUP; raise nothing out of whatever is running.

    A raised ``KeyboardInterrupt`` comes between any two bytecodes, so also between reading a line and counting it.
    After the first signal a Ctrl-C is one again, and cuts short what the program still does; the others change
    nothing more.
    A signal that was ignored before (``nohup``) stays ignored.

    Args:
        on_signal: runs in the main thread, amid anything: it should only note the number.
    """
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in heard}

    def received(number: int, _frame: FrameType | None) -> None:
        for each in heard:
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_IGN)
        on_signal(number)

    for number in heard:
        signal.signal(number, received)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is received:
                signal.signal(number, handler)
