"""The real tritonserver on this machine, from the wheel that ``make setup`` installs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

from narrows.contract.errors import ServiceError
from narrows.runtime.direct import open_url
from orchestrator.servers.guarded import Guarded, new_shm_prefix
from orchestrator.servers.ports import LOOPBACK, free_ports
from orchestrator.servers.triton_environment import BACKENDS, MODELS, TritonEnvironment

_ATTEMPTS = 3
_EXIT_S = 3
_GRACE_S = 1.5  # batches on their way are done by then; unloading what dies anyway is not waited for
_PORT_TAKEN = ("Address already in use", "failed to start GRPC", "Socket '")


class LocalTriton:
    """A tritonserver of our own on loopback ports, in a session of its own, under a guardian.

    Attributes:
        grpc_address, http_address, metrics_address: ``host:port``.
        pid: the server's process id; its backend stubs are in the same process group.
        log: what it printed.
        shm_prefix: how the names of its shared memory begin.
    """

    def __init__(
        self, process: Guarded, ports: Sequence[int], again: Callable[[], LocalTriton], given_up: Event
    ) -> None:
        self.grpc_address, self.http_address, self.metrics_address = (f"{LOOPBACK}:{port}" for port in ports)
        self.pid = process.pid
        self.log = process.log
        self.shm_prefix = process.shm_prefix
        self._process = process
        self._again = again
        self._given_up = given_up

    @classmethod
    def start(
        cls,
        model_repository: Path,
        run_folder: Path,
        models: Sequence[str],
        *,
        config_name: str | None = "cpu",
        ready_s: float = 60.0,
        ports: tuple[int, int, int] | None = None,
        launcher: Sequence[str] = (),
        given_up: Event | None = None,
    ) -> Self:
        """Start the server and wait until it and its models are ready.

        Args:
            model_repository: the folder of models; see :mod:`narrows.runtime.triton_config`.
            run_folder: its backends and log lie in ``run_folder/triton``.
            models: the names of the models to load; others may be loaded later.
            config_name: which of a model's ``configs/`` to use, where it has it.
            ready_s: how long to wait.
            ports: for gRPC, HTTP and metrics; by default free ones.
            launcher: a command that ends by executing its arguments, the server and its options.
            given_up: set by another thread, it ends this start, and any restart, without a server.

        Raises:
            ServiceError: the environment is missing, the disk is full, the server does not get ready (the message has
                its log's end), or it was given up.
        """
        environment = TritonEnvironment.find()
        folder = run_folder.absolute() / "triton"
        try:
            environment.lay_out(folder, model_repository)
        except OSError as error:
            raise ServiceError(f"tritonserver's backends cannot be laid out in {folder}: {error}") from None
        stop = given_up or Event()
        for _ in range(_ATTEMPTS):
            chosen = ports or _three_ports()
            prefix = new_shm_prefix()
            options = [*_options(models, config_name, prefix), *_listen(chosen)]
            process = Guarded.start(
                [*launcher, environment.server, *options],
                log=folder / "triton.log",
                environment=environment.variables(),
                grace_s=_GRACE_S,
                shm_prefix=prefix,
                folder=folder,
            )
            again = partial(
                cls.start,
                *(model_repository, run_folder, models),
                config_name=config_name,
                ready_s=ready_s,
                ports=chosen,
                launcher=launcher,
                given_up=stop,
            )
            server = cls(process, chosen, again, stop)
            if server._gets_ready(models, ready_s):
                return server
            process.stop()
            if stop.is_set():
                raise ServiceError("the start of the local Triton was given up")
            if not any(sign in process.tail() for sign in _PORT_TAKEN):
                break
        raise ServiceError(f"the local Triton does not get ready; the end of {process.log}:\n{process.tail(30)}")

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
        """End what is left of it and start it on the same ports, with the same models.

        Raises:
            ServiceError: as :meth:`start`.
        """
        self._process.stop()
        fresh = self._again()
        self._process, self.pid, self.shm_prefix = fresh._process, fresh.pid, fresh.shm_prefix  # noqa: SLF001

    def give_up(self) -> None:
        """Have a restart that is under way end without a server. There is no other one after it."""
        self._given_up.set()

    def stop(self) -> None:
        """End it, its stubs and their shared memory. May be repeated."""
        self._process.stop()

    def _gets_ready(self, models: Sequence[str], ready_s: float) -> bool:
        api = f"http://{self.http_address}/v2"
        wanted = [f"{api}/health/ready", *(f"{api}/models/{model}/ready" for model in models)]
        wanted.append(f"http://{self.metrics_address}/metrics")  # the last that it begins to serve
        name = f'"name":"{self.shm_prefix}"'.encode()
        give_up = time.monotonic() + ready_s
        while time.monotonic() < give_up and self.running() and not self._given_up.is_set():
            if name in (_get(api) or b"") and all(_get(url) is not None for url in wanted):
                return True
            time.sleep(0.05)
        return False


def _get(url: str) -> bytes | None:
    """The body of a GET; ``None`` unless its status is 200."""
    try:
        with open_url(url, 1.0) as response:
            return bytes(response.read())
    except OSError:
        return None


def _three_ports() -> tuple[int, int, int]:
    grpc, http, metrics = free_ports(3)
    return grpc, http, metrics


def _options(models: Sequence[str], config_name: str | None, shm_prefix: str) -> list[str]:
    return [
        f"--id={shm_prefix}",  # tells our server from another's on the same port
        f"--model-repository={MODELS}",
        f"--backend-directory={BACKENDS}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in models),
        *([f"--model-config-name={config_name}"] if config_name else []),
        "--disable-auto-complete-config",
        f"--exit-timeout-secs={_EXIT_S}",
    ]


def _listen(ports: Sequence[int]) -> list[str]:
    named = zip(("grpc", "http", "metrics"), ports, strict=True)
    return [option for name, port in named for option in (f"--{name}-address={LOOPBACK}", f"--{name}-port={port}")]
