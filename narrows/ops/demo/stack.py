"""The parts of the system as processes of this machine, each under a guardian: none outlives the demo."""

from __future__ import annotations

import os
import shutil
import sys
import time
import urllib.error
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from narrows.client.registry.packet_format import let_cameras_send, newest_read
from narrows.contract.bundle import Bundle
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.json_text import decode_object
from narrows.contract.records.frame_journal import FEATURES
from narrows.ops.demo.steps import step
from narrows.runtime.direct import open_url
from narrows.runtime.redis import connect, named_errors
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.servers import Guarded, Keeper, LocalRedis, LocalTriton
from orchestrator.servers.guarded import clear_shared_memory
from orchestrator.servers.own_folder import own_folder
from orchestrator.servers.ports import LOOPBACK, free_ports

_READY_S = 60.0
_MOST_ANSWER_BYTES = 1 << 20
_FOLDER_PREFIX = "stack-"
_ALONE = {"NARROWS_CONFIG": os.devnull}  # the sections of a narrows.toml here are for programs that people start


@dataclass
class Stack:
    """Redis, Triton and a dispatcher. A context manager: leaving it stops them all.

    Attributes:
        folder: their logs and data; removed at the end unless something failed or ``keep_folder`` is set.
        metrics_address: where the dispatcher answers to Prometheus.
        page_address: where the live page is served.
    """

    bundle: Bundle
    folder: Path
    redis: LocalRedis
    triton: LocalTriton
    dispatcher: Guarded
    metrics_address: str
    page_address: str
    _stack: ExitStack
    keep_folder: bool = False

    @classmethod
    def start(cls, bundle: Bundle, out: Path, console: Console) -> Self:
        """Start everything and wait until it is ready; what takes time says so.

        Raises:
            ServiceError: a part is missing or does not start; the message has the end of its log.
        """
        with ExitStack() as held:
            held.enter_context(own_folder(out, "another demo", "--out"))
            folder = new_folder(out)
            try:
                return cls._start(bundle, folder, console, held)
            except (KeyboardInterrupt, SystemExit):  # after an error its logs are wanted
                held.close()
                shutil.rmtree(folder, ignore_errors=True)
                raise

    @classmethod
    def _start(cls, bundle: Bundle, folder: Path, console: Console, held: ExitStack) -> Self:
        with held.pop_all() as stack:
            with step(console, "Redis"):
                redis = stack.enter_context(LocalRedis.start(folder))
                stack.enter_context(Keeper("Redis", redis, console.print))
            with step(console, "Triton with the decoder of the bundle"):
                repository = folder / "model_repository"
                fill_repository(bundle, repository)
                triton = stack.enter_context(LocalTriton.start(repository, folder, [model_name(bundle.id)]))
                stack.enter_context(Keeper("tritonserver", triton, console.print))
            with step(console, "narrows orchestrate"):
                address = f"{LOOPBACK}:{free_ports(1)[0]}"
                dispatcher = stack.enter_context(_start_dispatcher(bundle, redis, triton, address, folder))
                _wait_ready(dispatcher, address)
            with step(console, "narrows page"):
                page_address = f"{LOOPBACK}:{free_ports(1)[0]}"
                page = stack.enter_context(_start_page(bundle, redis, address, page_address, folder))
                _wait_ready(page, page_address, "/healthz")
            started = cls(bundle, folder, redis, triton, dispatcher, address, page_address, stack.pop_all())
        started.check()
        return started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if not (self.keep_folder or isinstance(error, Exception)):  # whoever asked us to end wants nothing to stay
            shutil.rmtree(self.folder, ignore_errors=True)

    def check(self) -> None:
        """Notice a part that died.

        Raises:
            ServiceError: the dispatcher has ended; the message has the end of its log. Redis and Triton are kept.
        """
        status = self.dispatcher.poll()
        if status is not None:
            raise ServiceError(f"narrows orchestrate ended with status {status}:\n{self.dispatcher.tail()}")

    def allow_packet_format(self, packet_format: int) -> None:
        """Let cameras send it, once the dispatcher says that it reads it: its first report comes within a second.

        Raises:
            ServiceError: it does not say so.
        """
        give_up_s = time.monotonic() + _READY_S
        client = connect(self.redis.url)
        with named_errors(self.redis.url):
            while min(newest_read(client).values(), default=0) < packet_format and time.monotonic() < give_up_s:
                time.sleep(0.1)
            let_cameras_send(client, packet_format, who="narrows demo")

    def describe_triton(self) -> dict[str, str]:
        """Version of the server; name, platform and backend of the model.

        Raises:
            ServiceError: it does not answer.
        """
        model = model_name(self.bundle.id)
        server = _get_json(f"http://{self.triton.http_address}/v2")
        config = _get_json(f"http://{self.triton.http_address}/v2/models/{model}/config")
        return {
            "version": str(server["version"]),
            "model": model,
            "platform": str(config.get("platform") or config.get("backend", "")),
            "backend": str(config.get("backend", "")),
        }

    def describe_redis(self) -> dict[str, str]:
        """Server and version.

        Raises:
            ServiceError: it does not answer.
        """
        client = connect(self.redis.url)
        with named_errors(self.redis.url):
            info: Any = client.info("server")
        server = str(info.get("server_name", "redis"))
        return {"version": str(info.get(f"{server}_version", info["redis_version"])), "server": server}


@dataclass
class Camera:
    """One ``narrows edge`` process and the files that it leaves."""

    stream: str
    process: Guarded
    journal: Path
    stopped: bool = field(default=False)

    @classmethod
    def start(
        cls,
        stack: Stack,
        stream: str,
        source: Path,
        *,
        frames_per_s: float,
        frames: int | None,
        maxlen: int,
        send: str = FEATURES,
    ) -> Self:
        """Start a camera that plays ``source`` over and over.

        Raises:
            ServiceError: it cannot be run.
        """
        folder = stack.folder / stream
        folder.mkdir(exist_ok=True)
        journal = folder / "journal.jsonl"
        command = [
            *(sys.executable, "-m", "narrows.cli", "edge", "--loop", "--source", str(source)),
            *("--stream-id", stream, "--redis-url", stack.redis.url, "--bundle", str(stack.bundle.folder)),
            *("--fps", f"{frames_per_s:g}", "--journal", str(journal), "--state-dir", str(folder / "state")),
            *("--maxlen", str(maxlen), "--send", send),
            *(() if frames is None else ("--frames", str(frames))),
        ]
        return cls(stream, Guarded.start(command, log=folder / "edge.log", environment=_ALONE), journal)

    def ended(self) -> bool:
        """Whether the process has ended by itself, well.

        Raises:
            ServiceError: it failed; the message has the end of its log.
        """
        status = self.process.poll()
        if status not in (None, 0) and not self.stopped:
            raise ServiceError(f"narrows edge ({self.stream}) ended with status {status}:\n{self.process.tail()}")
        return status is not None

    def stop(self) -> None:
        """Ask it to flush and end, and wait for it."""
        self.stopped = True
        self.process.stop()


def _start_dispatcher(bundle: Bundle, redis: LocalRedis, triton: LocalTriton, address: str, folder: Path) -> Guarded:
    command = [
        *(sys.executable, "-m", "narrows.cli", "orchestrate", "--redis-url", redis.url),
        *("--triton", triton.grpc_address, "--bundle", str(bundle.folder), "--http", address),
    ]
    return Guarded.start(command, log=folder / "orchestrate.log", environment=_ALONE, grace_s=10.0)


def _start_page(bundle: Bundle, redis: LocalRedis, dispatcher_address: str, address: str, folder: Path) -> Guarded:
    command = [
        *(sys.executable, "-m", "narrows.cli", "page", "--redis-url", redis.url, "--listen", address),
        *("--orchestrator", f"http://{dispatcher_address}", "--bundle", str(bundle.folder)),
        *("--frames-from", str(folder)),
    ]
    return Guarded.start(command, log=folder / "page.log", environment=_ALONE)


def _wait_ready(process: Guarded, address: str, path: str = "/readyz") -> None:
    give_up_s = time.monotonic() + _READY_S
    while time.monotonic() < give_up_s:
        if process.poll() is not None:
            break
        try:
            with open_url(f"http://{address}{path}", 1.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ServiceError(f"{process.log.stem} does not get ready; the end of {process.log}:\n{process.tail()}")


def _get_json(url: str) -> dict[str, Any]:
    try:
        with open_url(url, 5.0) as answer:
            body = answer.read(_MOST_ANSWER_BYTES + 1)
        return decode_object(body, what="its answer", most_bytes=_MOST_ANSWER_BYTES)
    except (urllib.error.URLError, OSError, RecordError) as error:
        raise ServiceError(f"Triton does not answer at {url}: {error}") from None


def new_folder(out: Path) -> Path:
    """A folder of this run in ``out``, which is ours alone: folders of other runs there are of killed ones, and go."""
    for old in out.glob(f"{_FOLDER_PREFIX}*"):
        if not old.name.removeprefix(_FOLDER_PREFIX).isdigit():
            continue
        clear_shared_memory(old)
        shutil.rmtree(old, ignore_errors=True)
    folder = out.absolute() / f"{_FOLDER_PREFIX}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
