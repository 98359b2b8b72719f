"""The two ways to Prometheus: an address that it scrapes, or a file for node_exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread

import structlog
from prometheus_client import CollectorRegistry, write_to_textfile

from edge_client import http_server
from edge_client.http_server import LIMITS
from narrows.contract.errors import StateError
from narrows.runtime.exposure import Exposure
from narrows.runtime.listening import HTTP_OPTION, TOKEN_OPTION, Limits, check_exposure
from narrows.runtime.loop_guard import LoopGuard

_LOG = structlog.get_logger("edge.metrics")
_FILE_PERIOD_S = 15.0


@contextmanager
def served(exposure: Exposure, address: str, granted: Limits = LIMITS) -> Iterator[str]:
    """Serve what is exposed while the context lasts; yields the address that was bound (port 0 takes a free one).

    Raises:
        ServiceError: the address is wrong or taken, or is not loopback's and there is no token that cannot be guessed.
    """
    check_exposure(address, exposure.token, HTTP_OPTION, TOKEN_OPTION)
    with http_server.served(
        lambda asked: exposure.reply(asked.path, asked.header("Authorization")), address, HTTP_OPTION, granted=granted
    ) as bound:
        yield bound


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
    keep = partial(_keep_writing, registry, path, ended)
    thread = Thread(target=LoopGuard().keep_in_thread, args=("metrics file", keep, ended), daemon=True)
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
