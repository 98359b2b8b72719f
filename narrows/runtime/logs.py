"""What every program writes to standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import Processor

from narrows.contract.errors import ServiceError

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str = "info", fields: Mapping[str, object] | None = None) -> None:
    """One line an event on standard error: logfmt, or in colours where a person watches.

    Args:
        level: debug, info, warning or error.
        fields: that every line has besides its own.

    Raises:
        ServiceError: there is no such level.
    """
    if level not in _LEVELS:
        raise ServiceError(f"--log-level {level!r}: it is one of {', '.join(_LEVELS)}")
    everywhere = dict(fields or {})
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _logger, _method, event: {**everywhere, **event},
            *_rendering(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", _Unfailing(sys.stderr))),
    )


class _Unfailing:
    """Where lines go. One that cannot be written, on a full disk or to a reader that is gone, is lost.

    Whoever logs is often about to mend something: an error would end the loop that was to go on, or a frame's way.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: it was closed
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def _rendering() -> list[Processor]:
    if sys.stderr.isatty():
        # plain: with their locals, tables of a bundle among them, one traceback took half a minute
        return [structlog.dev.ConsoleRenderer(pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
    ]
