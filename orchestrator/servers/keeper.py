"""Start a server of this machine again whenever it ends by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.backoff import Backoff
from narrows.runtime.loop_guard import LoopGuard

_log = structlog.get_logger(__name__)
_LOOK_S = 0.1
_PAUSES_S = (0.1, 2.0)
_STEADY_S = 10.0


class Server(Protocol):
    """What can be kept: :class:`LocalTriton`, :class:`LocalRedis`."""

    def running(self) -> bool:
        """Whether its process lives."""
        ...

    def restart(self) -> None:
        """Clear away what is left of it and start it at the same address; blocks until it is ready.

        Raises:
            ServiceError: it does not get ready.
        """
        ...


class Keeper:
    """Keeps one server while the context lasts, as a container's restart policy would; a thread looks after it.

    Restarts back off from 0.1 to 2 s until the server has run for ten seconds. Leave the context before the server
    is stopped.

    Attributes:
        restarts: how often it was started again.
    """

    def __init__(self, name: str, server: Server, tell: Callable[[str], None] | None = None) -> None:
        """Keep ``server``; ``tell`` is given a line for people at each restart, by default a log line is written."""
        self.name = name
        self.restarts = 0
        self._server = server
        self._tell = tell
        self._leaving = threading.Event()
        keep = partial(LoopGuard().keep_in_thread, f"keeper of {name}", self._keep, self._leaving)
        self._thread = threading.Thread(target=keep, name=f"keeper of {name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()

    def _keep(self) -> None:
        backoff, started_s = Backoff(*_PAUSES_S), time.monotonic()
        while not self._leaving.wait(_LOOK_S):
            if self._server.running():
                if time.monotonic() - started_s > _STEADY_S:
                    backoff.reset()
                continue
            if self._leaving.wait(backoff.next_delay_s()):
                return
            self._start_again()
            started_s = time.monotonic()

    def _start_again(self) -> None:
        try:
            self._server.restart()
        except (ServiceError, OSError) as error:  # no process may be had, or no space for its log
            if self._tell is None:
                _log.warning("server_restart_failed", server=self.name, error=str(error))
            else:
                self._tell(f"{self.name} ended and does not start again yet: {error}")
            return
        self.restarts += 1
        if self._tell is None:
            _log.warning("server_restarted", server=self.name, restarts=self.restarts)
        else:
            self._tell(f"{self.name} ended by itself and was started again ({self.restarts})")
