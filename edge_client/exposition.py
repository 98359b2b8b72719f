"""The two ways to Prometheus: an address that it scrapes, or a file for node_exporter's textfile collector."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, write_to_textfile

from narrows.errors import ServiceError, StateError

_LOG = structlog.get_logger("edge.metrics")
_FILE_PERIOD_S = 15.0
_MIN_TOKEN_CHARACTERS = 16


@contextmanager
def served(registry: CollectorRegistry, address: str, token: str | None) -> Iterator[str]:
    """Serve ``/metrics`` while the context lasts; yields the address that was bound (port 0 takes a free one).

    Raises:
        ServiceError: the address is wrong or taken, or is not loopback's and there is no token that cannot be guessed.
    """
    host, port = _parse_address(address)
    _check_exposure(address, host, token)
    try:
        server = ThreadingHTTPServer((host, port), _handler(registry, token))
    except OSError as error:
        raise ServiceError(f"cannot listen on --http {address}: {error.strerror}; choose another") from None
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def written(registry: CollectorRegistry, path: Path) -> Iterator[None]:
    """Write the metrics to a file every 15 s, whole or not at all, and once more at the end.

    Raises:
        StateError: it cannot be written.
    """
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise StateError(f"--metrics-file {path} cannot be written: {error.strerror}") from None
    ended = Event()
    thread = Thread(target=_keep_writing, args=(registry, path, ended), name="metrics-file", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=1.0)


def _keep_writing(registry: CollectorRegistry, path: Path, ended: Event) -> None:
    failed = False
    while not ended.is_set():
        ended.wait(_FILE_PERIOD_S)
        try:
            write_to_textfile(str(path), registry)
            failed = False
        except OSError as error:
            if not failed:
                _LOG.error("metrics_file_unwritable", file=str(path), cause=error.strerror)
            failed = True


def _handler(registry: CollectorRegistry, token: str | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0

        def do_GET(self) -> None:
            if token is not None and not _knows(self.headers.get("Authorization", ""), token):
                self._answer(HTTPStatus.UNAUTHORIZED, "text/plain", b"a bearer token is needed\n")
            elif self.path.partition("?")[0] != "/metrics":
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics is all there is\n")
            else:
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
            """Scrapes are not worth a line."""

    return Handler


def _knows(authorization: str, token: str) -> bool:
    return hmac.compare_digest(authorization.encode("utf-8", "replace"), f"Bearer {token}".encode())


def _parse_address(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if colon and host and port.isdigit() and int(port) < 65536:
        return host.strip("[]"), int(port)
    raise ServiceError(f"--http {address!r}: HOST:PORT is expected, such as 127.0.0.1:9467")


def _check_exposure(address: str, host: str, token: str | None) -> None:
    if token is not None and len(token) < _MIN_TOKEN_CHARACTERS:
        raise ServiceError(f"--http-token can be guessed: give at least {_MIN_TOKEN_CHARACTERS} characters")
    if token is None and not _is_loopback(host):
        raise ServiceError(
            f"--http {address} can be reached from elsewhere: give --http-token file:PATH, or an address of 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
