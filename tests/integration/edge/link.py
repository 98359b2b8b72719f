"""A TCP link to a server that can be cut, mended and made thin: bytes pass as they come, or no connection lives."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

_THIN_BYTES = 128


class Link:
    """Forwards connections of a loopback port to another.

    Attributes:
        bytes_per_s: what passes towards the server; answers pass as they come.
    """

    bytes_per_s: float = math.inf

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._up = Event()
        self._open: set[socket.socket] = set()
        self._up.set()
        Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where to connect."""
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """End what is connected, and whatever connects from now on."""
        self._up.clear()
        for each in list(self._open):
            _end(each)

    def mend(self) -> None:
        """Let connections live again."""
        self._up.set()

    def close(self) -> None:
        """No more connections."""
        self.cut()
        _end(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._up.is_set():
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._open |= {near, far}
                Thread(target=self._pass_on, args=(near, far), daemon=True).start()
                Thread(target=self._pass_on, args=(far, near), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16 if math.isinf(self.bytes_per_s) else _THIN_BYTES):
                if sink.getpeername() == self._target:
                    time.sleep(len(data) / self.bytes_per_s)
                sink.sendall(data)
        for each in (source, sink):
            self._open.discard(each)
            _end(each)


@contextmanager
def link_to(port: int) -> Iterator[Link]:
    """A link to a server on loopback."""
    link = Link(port)
    try:
        yield link
    finally:
        link.close()


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
