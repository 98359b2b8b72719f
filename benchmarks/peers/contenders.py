"""Starts each contender with its best settings on this machine, and stops it."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import struct
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from benchmarks.peers.loads import Load, Queue, Requests
from benchmarks.peers.marked import MARK, find
from benchmarks.pipeline.fleet import Fleet
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.stack import MAX_BATCH, dispatching, put_labels, running
from benchmarks.revision import ROOT
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.contract.wire.outcome import MASK
from narrows.runtime.redis.store import Store
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.servers import Guarded, LocalRedis, LocalTriton
from orchestrator.servers.ports import LOOPBACK, free_ports

PYTHON = ROOT / ".venv-peers" / "bin" / "python"
APPS = Path(__file__).parent / "apps"
_READY_S = 90.0
_ENSEMBLE = APPS / "triton_ensemble"


@dataclass(frozen=True)
class Task:
    """What every contender is given.

    Attributes:
        labels: the near-free model's answers ``(n, H, W)`` uint8; None for the bundle's own decoder.
    """

    bundle: Bundle
    packets: Packets
    folder: Path
    labels: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Running:
    """A contender that is up.

    Attributes:
        mark: see :mod:`benchmarks.peers.marked`.
        workers: ids of the processes one of which the benchmark may kill.
    """

    load: Load
    mark: str
    workers: Callable[[], list[int]]


@dataclass(frozen=True)
class Contender:
    """One of them.

    Attributes:
        sources: what a user writes for it.
        start: an asynchronous context.
    """

    name: str
    sources: Sequence[Path]
    start: Callable[[Task], AbstractAsyncContextManager[Running]]

    def lines(self) -> int:
        """Lines that a user writes, without the empty ones."""
        return sum(len([line for line in each.read_text().splitlines() if line.strip()]) for each in self.sources)


@asynccontextmanager
async def narrows(task: Task) -> AsyncIterator[Running]:
    """Two dispatchers that share the shards, as a site that wants to outlive one runs them."""
    with (
        marked(task) as mark,
        running(task.bundle, task.folder / "stack", labels=task.labels) as stack,
        dispatching(task.bundle, stack.redis, stack.triton, task.folder / "second"),
    ):
        store = Store.connect(stack.redis.url)
        try:
            fleet = await Fleet.register(store, task.packets, "peer", 16)
            queue = Queue(
                task.packets, store, [k.features for k in fleet.keys], [k.outcomes for k in fleet.keys], "p",
                lambda fields: fields[b"p"] if fields[b"k"] == MASK else None,
            )  # fmt: skip
            yield Running(queue, mark, lambda: [stack.dispatcher.pid])
        finally:
            await store.close()


@asynccontextmanager
async def faststream(task: Task) -> AsyncIterator[Running]:
    """Two worker processes over one stream."""
    async with AsyncExitStack() as stack:
        mark = stack.enter_context(marked(task))
        redis = stack.enter_context(LocalRedis.start(task.folder))
        server = stack.enter_context(_triton(task))
        words: list[str | Path] = [
            PYTHON,
            "-m",
            "faststream",
            "run",
            "benchmarks.peers.apps.faststream_app:app",
            "--workers",
            "2",
        ]
        variables = {
            "PEERS_REDIS": redis.url, "PEERS_TRITON": server.grpc_address, "PEERS_MODEL": model_name(task.bundle.id)
        }  # fmt: skip
        stack.enter_context(_program(task, words, variables))
        store = Store.connect(redis.url)
        stack.push_async_callback(store.close)
        queue = Queue(task.packets, store, ["features"], ["masks"], "__data__", _unwrapped)
        await _groups(store)
        yield Running(queue, mark, lambda: find(mark, command="multiprocessing", library="grpc"))


@asynccontextmanager
async def litserve(task: Task) -> AsyncIterator[Running]:
    """Two workers behind one HTTP server."""
    port = free_ports(1)[0]
    with marked(task) as mark, _program(task, [PYTHON, "-m", "benchmarks.peers.apps.litserve_app", str(port)]):
        async with _session(port, "/predict") as post:

            async def ask(body: bytes) -> bytes:
                return await post(json={"packet": base64.b64encode(body).decode()})

            await _answers(ask, task.packets)
            workers = lambda: find(mark, command="multiprocessing", library="onnxruntime")  # noqa: E731
            yield Running(Requests(task.packets, ask, 32), mark, workers)


@asynccontextmanager
async def ray(task: Task) -> AsyncIterator[Running]:
    """Two replicas behind Ray's proxy."""
    port = free_ports(1)[0]
    with marked(task) as mark, _program(task, [PYTHON, "-m", "benchmarks.peers.apps.ray_app", str(port)]):
        async with _session(port, "/") as post:

            async def ask(body: bytes) -> bytes:
                return await post(data=body)

            await _answers(ask, task.packets)
            yield Running(Requests(task.packets, ask, 32), mark, lambda: find(mark, command="ray::ServeReplica"))


@asynccontextmanager
async def ensemble(task: Task) -> AsyncIterator[Running]:
    """Triton alone: no queue, no books."""
    with marked(task) as mark, _triton(task, ensemble=True) as server:
        client = triton.InferenceServerClient(server.grpc_address)

        async def ask(body: bytes) -> bytes:
            packet = np.array([[body]], object)
            asked = triton.InferInput("packet", [1, 1], np_to_triton_dtype(packet.dtype))
            asked.set_data_from_numpy(packet)
            try:
                answer = await client.infer("whole", [asked])
            except InferenceServerException as error:
                raise RuntimeError(str(error)) from None
            return bytes(answer.as_numpy("mask")[0, 0])

        try:
            await _answers(ask, task.packets)
            yield Running(Requests(task.packets, ask, 32), mark, lambda: find(mark, command="triton_python_backend"))
        finally:
            await client.close()


CONTENDERS = (
    Contender("narrows", (), narrows),
    Contender("FastStream", (APPS / "faststream_app.py", APPS / "glue.py"), faststream),
    Contender("LitServe", (APPS / "litserve_app.py", APPS / "local_decoder.py", APPS / "glue.py"), litserve),
    Contender("Ray Serve", (APPS / "ray_app.py", APPS / "local_decoder.py", APPS / "glue.py"), ray),
    Contender("Triton ensemble", (*sorted(_ENSEMBLE.iterdir()), APPS / "glue.py"), ensemble),
)


@contextmanager
def marked(task: Task) -> Iterator[str]:
    """Children that start in this context carry a mark, and what the peers read from their environment."""
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    mark = uuid.uuid4().hex
    variables = {MARK: mark, "PEERS_BUNDLE": str(task.bundle.folder.absolute())}
    variables["PEERS_ONNX"] = str((task.bundle.folder / "decoder.cpu.onnx").absolute())
    if task.labels is not None:
        stored = task.folder.absolute() / "labels.npy"
        np.save(stored, task.labels)
        variables["PEERS_LABELS"] = str(stored)
    os.environ |= variables
    try:
        yield mark
    finally:
        for name in variables:
            del os.environ[name]


@contextmanager
def _program(task: Task, words: Sequence[str | Path], variables: Mapping[str, str] | None = None) -> Iterator[Guarded]:
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(variables or {})}
    with Guarded.start(words, log=task.folder / "app.log", grace_s=20.0, environment=environment, folder=ROOT) as child:
        yield child


@contextmanager
def _triton(task: Task, *, ensemble: bool = False) -> Iterator[LocalTriton]:
    repository = task.folder / "models"
    decoder = fill_repository(task.bundle, repository, max_batch=MAX_BATCH)
    if task.labels is not None:
        put_labels(decoder, task.bundle, task.labels)
    models = [model_name(task.bundle.id)]
    if ensemble:
        _put_ensemble(repository, task.bundle)
        models.append("whole")
    with LocalTriton.start(repository, task.folder, models) as server:
        yield server


def _put_ensemble(repository: Path, bundle: Bundle) -> None:
    """Both Python models and the ensemble around the decoder; they find Narrows' library by their path's end."""
    height, width = bundle.manifest.input.height, bundle.manifest.input.width
    latent = ", ".join(map(str, bundle.manifest.latent.as_tuple()))
    behind = [str(ROOT), next(path for path in sys.path if path.endswith("site-packages"))]
    for name in ("unpack", "pack"):
        folder = repository / name / "1"
        folder.mkdir(parents=True)
        source = f"import sys\nsys.path += {behind!r}\n" + (_ENSEMBLE / f"{name}.py").read_text().replace(
            "from __future__ import annotations\n", ""
        )
        (folder / "model.py").write_text(source)
        config = (_ENSEMBLE / f"{name}.pbtxt").read_text()
        (folder.parent / "config.pbtxt").write_text(
            config.replace("LATENT", latent).replace("PICTURE", f"{height}, {width}")
        )
    whole = repository / "whole"
    (whole / "1").mkdir(parents=True)
    config = (_ENSEMBLE / "config.pbtxt").read_text()
    (whole / "config.pbtxt").write_text(config.replace("DECODER", model_name(bundle.id)))


@asynccontextmanager
async def _session(port: int, path: str) -> AsyncIterator[Callable[..., Awaitable[bytes]]]:
    """Posts to a contender; answers bodies."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(**body: object) -> bytes:
            async with session.post(f"http://{LOOPBACK}:{port}{path}", **body) as answer:  # type: ignore[arg-type]
                if answer.status != 200:
                    raise RuntimeError(f"HTTP {answer.status}")
                return await answer.read()

        yield post


async def _answers(ask: Callable[[bytes], Awaitable[bytes]], packets: Packets) -> None:
    """Wait until a frame is answered by a mask.

    Raises:
        ServiceError: it never is.
    """
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + _READY_S
    while loop.time() < give_up_s:
        try:
            await ask(packets.body(1, 0))
        except (OSError, RuntimeError, aiohttp.ClientError):
            await asyncio.sleep(0.2)
        else:
            return
    raise ServiceError("a peer answers nothing; see app.log in its folder")


async def _groups(store: Store) -> None:
    """Wait until FastStream's workers have made their group."""
    for _ in range(int(_READY_S / 0.2)):
        if await store.call("EXISTS", "features") and await store.call("XINFO", "GROUPS", "features"):
            await asyncio.sleep(1.0)  # the second worker too
            return
        await asyncio.sleep(0.2)
    raise ServiceError("FastStream's workers do not start; see app.log in their folder")


def _unwrapped(fields: Mapping[bytes, bytes]) -> bytes:
    """The body in FastStream's envelope: a magic of 8 bytes, a version, where headers and data begin."""
    data = fields[b"__data__"]
    begin = int(struct.unpack_from(">I", data, 14)[0])
    return data[begin:]
