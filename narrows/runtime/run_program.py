"""How every program of ours begins and ends: its log, its event loop, and what SIGTERM and Ctrl-C do.

The first signal asks the program to end, which it does in its own order. A further one ends it at once, unless the
program has something to cut short first (``hurry``). A named error that ends it is the command line's to show
(``narrows.cli``): one line and exit code 1.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import FrameType
from typing import Any

from narrows.runtime.logs import configure_logs

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_program(
    main: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    log_level: str,
    *,
    hurry: asyncio.Event | None = None,
    log_fields: Mapping[str, object] | None = None,
) -> None:
    """Set up the log and run a program on an event loop until it returns.

    Args:
        main: the program; the event that it is given is set by the first signal.
        log_level: debug, info, warning or error.
        hurry: set by the second signal; without it the second one ends the process at once.
        log_fields: that every line of the log has, besides its own.

    Raises:
        ServiceError: there is no such log level.
        NarrowsError: whatever ``main`` raises.
    """
    import uvloop  # noqa: PLC0415 -- a program without an event loop, such as the camera's, does not install it

    configure_logs(log_level, log_fields)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        _set_in_turn([stop] if hurry is None else [stop, hurry])
        await main(stop)

    uvloop.run(until_stopped())


def _set_in_turn(events: list[asyncio.Event]) -> None:
    """Each signal sets one of the events; after the last of them, signals have their default again."""
    loop, left = asyncio.get_running_loop(), iter(events)

    def received() -> None:
        event = next(left)
        event.set()
        if event is events[-1]:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

    for number in _SIGNALS:
        loop.add_signal_handler(number, received)


def stop_on_signals() -> threading.Event:
    """For a program without an event loop: an event that the first signal sets; a second one ends it at once."""
    stop = threading.Event()

    def received(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    for number in _SIGNALS:
        signal.signal(number, received)
    return stop
