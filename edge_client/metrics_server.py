"""The HTTP server of a camera: what it exposes and nothing else, by the standard library, a thread for a connection.

aiohttp, which serves the cloud's programs, takes megabytes of memory and of the disk that a camera can use better.
"""

from __future__ import annotations

import socket
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import structlog

from narrows.runtime.exposure import Exposure
from narrows.runtime.listening import HEADERS, Held, Limits, to_give_up

_LOG = structlog.get_logger("edge.metrics")


class MetricsServer(ThreadingHTTPServer):
    """Answers one request a connection, in the time granted; further connections take others' places."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], exposure: Exposure, granted: Limits) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be bound.
        """
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.exposure, self.granted = exposure, granted
        self._open: dict[socket.socket, tuple[str, float]] = {}  # the peer, and since when; oldest first
        self._lock = Lock()
        super().__init__(address, _Handler)

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
            _LOG.error("metrics_request_failed", exc_info=error)

    def _give_up(self, connection: socket.socket) -> None:
        self._open.pop(connection, None)
        try:
            connection.shutdown(socket.SHUT_RDWR)  # its thread sees the end, and closes it
        except OSError:  # it is gone already
            return


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    default_request_version = "HTTP/1.0"  # so that what is no request gets an answer with a status too

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        status, kind, body = self.server.exposure.reply(self.path.partition("?")[0], authorization)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """What the header ``Server`` says."""
        return HEADERS["Server"]

    def end_headers(self) -> None:
        """On every answer, also on the library's own to what it cannot read."""
        for name, value in HEADERS.items():
            if name != "Server":
                self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Scrapes are not worth a line."""
