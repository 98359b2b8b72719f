"""The HTTP server of a camera, by the standard library, a thread for a connection: its metrics, and its site's page.

aiohttp, which serves the cloud's programs, takes megabytes of memory and of the disk that a camera can use better.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qsl, unquote

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.exposure import Reply
from narrows.runtime.listening import HEADERS, Held, Limits, parse_address, to_give_up

_LOG = structlog.get_logger("edge.http")
LIMITS = Limits(connections=16)
"""A camera is asked by few, and each has a thread."""
_MOST_BODY_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: ``headers`` by their names in lower case, ``body`` empty but of a POST."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    peer: str = ""

    def header(self, name: str) -> str:
        """A header's value; empty where there is none."""
        return self.headers.get(name.lower(), "")


Respond = Callable[[Asked], Reply]


@contextmanager
def served(
    respond: Respond, address: str, option: str, *, changes: bool = False, granted: Limits = LIMITS
) -> Iterator[str]:
    """Serve while the context lasts; yields the address that was bound (port 0 takes a free one).

    Args:
        respond: answers each request, in a thread of its connection.
        address: ``HOST:PORT``.
        option: what gives it, for messages.
        changes: POST and DELETE are answered too.
        granted: how many connections, and how long each.

    Raises:
        ServiceError: the address is wrong or taken.
    """
    host, port = parse_address(address, option)
    try:
        server = CameraHttpServer((host, port), respond, granted, changes=changes)
    except OSError as error:
        raise ServiceError(f"cannot listen on {option} {address}: {error.strerror}; choose another") from None
    Thread(target=server.serve_forever, name=option.strip("-"), daemon=True).start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class CameraHttpServer(ThreadingHTTPServer):
    """Answers one request a connection, in the time granted; further connections take others' places."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], respond: Respond, granted: Limits, *, changes: bool = False) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be bound.
        """
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.respond, self.granted = respond, granted
        self._open: dict[socket.socket, tuple[str, float]] = {}  # the peer, and since when; oldest first
        self._lock = Lock()
        super().__init__(address, _ChangingHandler if changes else _Handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """A new connection; where there are too many, another gives up its place."""
        if isinstance(request, socket.socket) and isinstance(client_address, tuple):
            with self._lock:
                if len(self._open) >= self.granted.connections:
                    held = [Held(peer, working=False) for peer, _ in self._open.values()]
                    self._give_up(list(self._open)[to_give_up(held)])
                self._open[request] = (str(client_address[0]), time.monotonic())
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Twice a second: end what has had its time."""
        with self._lock:
            limit_s = time.monotonic() - self.granted.request_s
            for connection in [each for each, (_, since_s) in self._open.items() if since_s < limit_s]:
                self._give_up(connection)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """A connection has ended."""
        if isinstance(request, socket.socket):
            with self._lock:
                self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 -- the library's
        """Say what went wrong, unless the client is only gone."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            _LOG.error("http_request_failed", exc_info=error)

    def _give_up(self, connection: socket.socket) -> None:
        self._open.pop(connection, None)
        try:
            connection.shutdown(socket.SHUT_RDWR)  # its thread sees the end, and closes it
        except OSError:  # it is gone already
            return


class _Handler(BaseHTTPRequestHandler):
    server: CameraHttpServer
    default_request_version = "HTTP/1.0"  # so that what is no request gets an answer with a status too

    def do_GET(self) -> None:
        self.answer(b"")

    def answer(self, body: bytes) -> None:
        """Have the request answered, and send that."""
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        peer = str(self.client_address[0])
        reply = self.server.respond(Asked(self.command, unquote(path), dict(parse_qsl(query)), headers, body, peer))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self._own = {name for name, _ in reply.headers}
        self.end_headers()
        self.wfile.write(reply.body)

    def version_string(self) -> str:
        """What the header ``Server`` says."""
        return HEADERS["Server"]

    def end_headers(self) -> None:
        """On every answer, also on the library's own to what it cannot read."""
        own: set[str] = getattr(self, "_own", set())
        for name, value in HEADERS.items():
            if name != "Server" and name not in own:
                self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Visits are not worth a line."""


class _ChangingHandler(_Handler):
    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > 9 or int(length) > _MOST_BODY_BYTES:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self.answer(self.rfile.read(int(length)))

    def do_DELETE(self) -> None:
        self.answer(b"")
