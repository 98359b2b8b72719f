"""SIGTERM and SIGHUP end a command as Ctrl-C does: by its own way out, through every ``finally``."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def unwind_on_signals() -> None:
    """Turn the signals into ``SystemExit`` with status 128 + n, as a shell would show their default.

    Without it a command dies on the spot and leaves its temporary files. Programs that drain first set handlers of
    their own later. One that was told to ignore a signal (``nohup``) goes on ignoring it.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _unwind)


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    for each in _SIGNALS:  # a second one does not cut off the cleaning up
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)
