"""Masks to whoever connects to a Unix socket, each as it is made.

::

    u32 length, little-endian | MaskPacket v1 of that length (docs/wire-format.md) | u32 length | ...

A reader that is slow loses masks, never the camera: what it did not take in time is passed over for the newest.
"""

from __future__ import annotations

import socket
import socketserver
import struct
from pathlib import Path
from threading import Condition, Lock, Thread

import numpy as np
import structlog
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.errors import StateError
from narrows.contract.outputs.labels.packing import pack_labels
from narrows.contract.wire import FrameIdentity, MaskPacket, Timings
from narrows.contract.wire.mask import class_areas, seal_mask

_LOG = structlog.get_logger("edge.masks")
LENGTH = struct.Struct("<I")
MOST_READERS = 8
_OWNER_ONLY = 0o600
_PROBE_S = 1.0
_STUCK_S = 30.0
"""A reader that takes nothing for so long makes room for another."""


class NewestMask:
    """One mask, replaced as others come; any number of threads wait for the next."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._number, self._message = 0, b""
        self._closed = False

    @property
    def number(self) -> int:
        """How many there were."""
        return self._number

    def put(self, message: bytes) -> None:
        """A newer one is there."""
        with self._changed:
            self._number, self._message = self._number + 1, message
            self._changed.notify_all()

    def close(self) -> None:
        """Let those that wait go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes] | None:
        """The newest behind ``number``, and its own number; ``None`` when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number)
            return None if self._closed else (self._number, self._message)


class LocalMaskSocket:
    """Serves a Unix socket that only this user may connect to."""

    def __init__(self, path: Path, bundle: Bundle) -> None:
        """Listen.

        Raises:
            StateError: the path cannot be bound, or another program listens there.
        """
        self._path, self._bundle, self._newest = path, bundle, NewestMask()
        self._classes = len(bundle.manifest.classes)
        _remove_left_behind(path)
        try:
            self._server = _Server(path, self._newest)
        except OSError as error:
            raise StateError(f"--local-masks unix:{path} cannot be bound: {error.strerror or error}") from None
        Thread(target=self._server.serve_forever, name="local-masks", daemon=True).start()

    def put(self, labels: NDArray[np.uint8], identity: FrameIdentity, capture_ms: int) -> None:
        """Hand it to those who read; without one nothing is packed."""
        if self._server.readers == 0:
            return
        mask = MaskPacket(
            bundle_id=self._bundle.id,
            identity=identity,
            capture_ms=capture_ms,
            level=0,
            feature_bytes=0,
            labels=labels,
            areas=class_areas(labels, self._classes),
            timings=Timings(0, 0, 0, 0, 0),
        )
        message = seal_mask(mask, pack_labels(labels))
        self._newest.put(LENGTH.pack(len(message)) + message)

    def close(self) -> None:
        """End the connections, and remove the socket."""
        self._newest.close()
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 2 * MOST_READERS
    block_on_close = False

    def __init__(self, path: Path, newest: NewestMask) -> None:
        self.newest = newest
        self._readers, self._lock = 0, Lock()
        super().__init__(str(path), _Reader)
        path.chmod(_OWNER_ONLY)

    @property
    def readers(self) -> int:
        """How many are connected."""
        return self._readers

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002 -- socketserver's
        """Count one more, if there is room."""
        with self._lock:
            welcome = self._readers < MOST_READERS
            self._readers += welcome
        return welcome

    def left(self) -> None:
        """One is gone."""
        with self._lock:
            self._readers -= 1

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 -- socketserver's
        """A reader that went away, or took nothing for too long, is no error."""
        _LOG.debug("local_reader_gone")


class _Reader(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Send what is made from now on, always the newest, until either end is gone."""
        connection: socket.socket = self.request
        connection.settimeout(_STUCK_S)
        number = self.server.newest.number
        while (found := self.server.newest.after(number)) is not None:
            number, message = found
            connection.sendall(message)

    def finish(self) -> None:
        """Count it no more."""
        self.server.left()


def _remove_left_behind(path: Path) -> None:
    """A socket that a run before left there is in nobody's use: it refuses. One that is only slow to answer is used.

    Raises:
        StateError: another program listens there, or the path cannot be looked at.
    """
    try:
        if not path.is_socket():
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_S)
            probe.connect(str(path))
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except (TimeoutError, BlockingIOError):
        pass  # more wait to be let in than it has room for
    except OSError as error:
        raise StateError(f"--local-masks unix:{path} cannot be bound: {error.strerror or error}") from None
    raise StateError(f"--local-masks unix:{path}: another program listens there")
