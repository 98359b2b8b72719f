"""The real parts, as processes: Valkey, tritonserver and ``narrows orchestrate``."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import time
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.pipeline.processor_time import ProcessorTime
from benchmarks.revision import ROOT, environment
from narrows.contract.bundle import AnyBundle, Bundle
from narrows.contract.errors import ServiceError
from narrows.runtime.direct import open_url
from narrows.runtime.triton_config import fill_repository, model_name
from narrows.runtime.triton_config.config import InstanceKind, model_config
from orchestrator.servers import Guarded, LocalRedis, LocalTriton
from orchestrator.servers.ports import LOOPBACK, free_ports

_READY_S = 60.0
MAX_BATCH = 8
Sample = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Stack:
    """Redis, Triton and one dispatcher."""

    bundle: Bundle
    redis: LocalRedis
    triton: LocalTriton
    dispatcher: Guarded
    http: str

    def processor_time(self) -> ProcessorTime:
        """What the parts have used so far."""
        return ProcessorTime.read(self.dispatcher.pid, self.redis.pid, self.triton.pid)

    def dispatcher_resident_bytes(self) -> int:
        """Memory of the dispatcher's process that is in use now."""
        pages = Path(f"/proc/{self.dispatcher.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def metrics(self) -> dict[Sample, float]:
        """The dispatcher's metrics now, by name and labels."""
        with open_url(f"http://{self.http}/metrics", 10.0) as answer:
            text = answer.read().decode()
        families = text_string_to_metric_families(text)
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@contextmanager
def running(
    bundle: Bundle, folder: Path, *, labels: NDArray[np.uint8] | None = None, shards: int = 4, tree: Path = ROOT
) -> Iterator[Stack]:
    """Start the parts and stop them; with ``labels`` the model is one that costs nothing and answers these.

    Args:
        bundle: whose decoder Triton runs.
        folder: emptied first; models, logs and Redis' data go there.
        labels: ``(n, H, W)`` uint8.
        shards: of the installation.
        tree: where the dispatcher's code is.

    Raises:
        ServiceError: one does not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    repository = folder / "models"
    fill_repository(bundle, repository, max_batch=MAX_BATCH)
    if labels is not None:
        put_labels(repository / model_name(bundle.id), bundle, labels)
    with (
        LocalRedis.start(folder) as redis,
        LocalTriton.start(repository, folder, [model_name(bundle.id)]) as triton,
        dispatching(bundle, redis, triton, folder, shards, tree) as (dispatcher, http),
    ):
        yield Stack(bundle, redis, triton, dispatcher, http)


def stage_means_ms(before: Mapping[Sample, float], after: Mapping[Sample, float]) -> dict[str, float]:
    """The mean of each stage between two readings, milliseconds."""
    means = {}
    for (name, labels), total in after.items():
        count = after.get(("narrows_stage_seconds_count", labels), 0) - before.get(
            ("narrows_stage_seconds_count", labels), 0
        )
        if name == "narrows_stage_seconds_sum" and count > 0:
            means[dict(labels)["stage"]] = 1000 * (total - before.get((name, labels), 0.0)) / count
    return means


def mean_batch(before: Mapping[Sample, float], after: Mapping[Sample, float]) -> float:
    """Frames a batch between two readings."""
    frames, batches = (after[(f"narrows_batch_size_{what}", ())] - before.get((f"narrows_batch_size_{what}", ()), 0.0)
                       for what in ("sum", "count"))  # fmt: skip
    return frames / batches if batches else float("nan")


def put_labels(folder: Path, bundle: Bundle, labels: NDArray[np.uint8]) -> None:
    """Replace a model in a repository by the near-free one."""
    plain = dataclasses.replace(bundle, cpu_decoder=None)  # else a file is named in which no Python model lies
    text = model_config(plain, max_batch=MAX_BATCH, kind=InstanceKind.CPU).replace('"onnxruntime"', '"python"')
    for path in (folder / "config.pbtxt", folder / "configs" / "cpu.pbtxt"):
        path.write_text(text)
    (folder / "1" / "model.onnx").unlink()
    shutil.copyfile(model_for_nothing_path(), folder / "1" / "model.py")
    np.save(folder / "1" / "labels.npy", labels)


def model_for_nothing_path() -> Path:
    """The source that Triton loads."""
    return Path(__file__).with_name("model_for_nothing.py")


class Addressed(Protocol):
    """A Redis: one server, or a cluster."""

    @property
    def url(self) -> str:
        """As ``--redis-url``."""
        ...


@contextmanager
def dispatching(
    bundle: AnyBundle,
    redis: Addressed,
    triton: LocalTriton,
    folder: Path,
    shards: int = 4,
    tree: Path = ROOT,
    options: Sequence[str] = (),
) -> Iterator[tuple[Guarded, str]]:
    """``narrows orchestrate`` of a tree with these options too, once it is ready, and where it serves HTTP."""
    http = f"{LOOPBACK}:{free_ports(1)[0]}"
    command = [
        *(sys.executable, "-m", "narrows.cli", "orchestrate", "--redis-url", redis.url, "--shards", str(shards)),
        *("--triton", triton.grpc_address, "--bundle", str(bundle.folder.absolute()), "--http", http),
        *("--retention", "100000", "--log-level", "warning", *options),
    ]
    log = folder.absolute() / "orchestrate.log"
    with Guarded.start(command, log=log, grace_s=10.0, environment=environment(tree), folder=tree) as dispatcher:
        _wait_ready(dispatcher, http)
        yield dispatcher, http


def _wait_ready(dispatcher: Guarded, http: str) -> None:
    give_up_s = time.monotonic() + _READY_S
    while time.monotonic() < give_up_s and dispatcher.poll() is None:
        try:
            with open_url(f"http://{http}/readyz", 1.0) as answer:
                json.load(answer)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ServiceError(f"narrows orchestrate does not get ready; the end of {dispatcher.log}:\n{dispatcher.tail()}")
