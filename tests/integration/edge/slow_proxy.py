"""A Redis behind a long way that now and then refuses a packet: what it does not refuse, a real server answers."""

from __future__ import annotations

import socketserver
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from queue import SimpleQueue
from threading import Thread

import redis

_DELAY_S = 0.05
OUT_OF_MEMORY = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


@contextmanager
def slow_proxy(
    server: redis.Redis, refuses: Callable[[tuple[bytes, ...]], bool], refusal: bytes = OUT_OF_MEMORY
) -> Iterator[str]:
    """The proxy's URL. Commands for which ``refuses`` says so are answered with ``refusal``.

    Commands are read as they come, and each is answered a while after it came: so several are on their way at once.
    """

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            answers: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
            Thread(target=self._answer, args=(answers,), daemon=True).start()
            while command := _command(self.rfile):
                answer = refusal if refuses(command) else _ask(server, command)
                answers.put((time.monotonic() + _DELAY_S, answer))

        def _answer(self, answers: SimpleQueue[tuple[float, bytes]]) -> None:
            with suppress(OSError):
                while True:
                    due_s, answer = answers.get()
                    time.sleep(max(0.0, due_s - time.monotonic()))
                    self.wfile.write(answer)

    class Proxy(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Proxy(("127.0.0.1", 0), Connection) as proxy:
        thread = Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{proxy.server_address[1]}/0?protocol=2"
        finally:
            proxy.shutdown()
            thread.join()


def _command(stream: BufferedIOBase) -> tuple[bytes, ...]:
    """One command (RESP: an array of bulk strings); empty at the end."""
    head = stream.readline()
    return tuple(stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:] or 0)))


def _ask(server: redis.Redis, command: tuple[bytes, ...]) -> bytes:
    connection = server.connection_pool.get_connection()
    try:
        connection.send_command(*command)  # type: ignore[no-untyped-call]
        return _answer(connection.read_response())
    except redis.ResponseError as error:
        return b"-ERR %s\r\n" % str(error).encode()
    finally:
        server.connection_pool.release(connection)


def _answer(value: object) -> bytes:
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(_answer, value))
    if isinstance(value, int):
        return b":%d\r\n" % value
    assert isinstance(value, bytes)
    return b"$%d\r\n%s\r\n" % (len(value), value)
