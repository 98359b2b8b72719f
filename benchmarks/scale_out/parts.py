"""The real parts: a Redis Cluster, a near-free model on tritonserver, ``narrows orchestrate --processes``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.chaos.redis_cluster import CLUSTER_OPTIONS, Nodes, eventually
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.processor_time import seconds, tree_seconds
from benchmarks.pipeline.stack import MAX_BATCH, dispatching, put_labels
from narrows.contract.bundle import Bundle
from narrows.runtime.direct import open_url
from narrows.runtime.onnx_runtime import InferenceSession
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.servers import Guarded, LocalRedis, LocalTriton
from orchestrator.servers.ports import LOOPBACK

MASTERS, _SLOTS = 2, 16384
_SAMPLE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Parts:
    """What stays while dispatchers come and go."""

    bundle: Bundle
    redis: Nodes
    triton: LocalTriton
    folder: Path

    @contextmanager
    def dispatching(self, processes: int, shards: int) -> Iterator[Dispatchers]:
        """So many, in an install of so many shards: Redis is emptied before."""
        self.redis.empty()
        options = ("--processes", str(processes))
        with dispatching(self.bundle, self.redis, self.triton, self.folder, shards, options=options) as (guarded, http):
            yield Dispatchers(guarded, http, self.redis, processes, shards)


@dataclass(frozen=True)
class Dispatchers:
    """Running dispatcher processes."""

    process: Guarded
    http: str
    redis: Nodes
    processes: int
    shards: int

    def used_s(self) -> tuple[float, float]:
        """Processor time so far: of the processes with their supervisor, and of Redis."""
        return tree_seconds(self.process.pid), sum(seconds(each.pid) for each in self.redis.servers)

    def samples(self, name: str, label: str = "") -> list[float]:
        """The values of a metric's series now, of those that have a label."""
        with open_url(f"http://{self.http}/metrics", 10.0) as answer:
            text = answer.read().decode()
        return [float(value) for found, labels, value in _SAMPLE.findall(text) if found == name and label in labels]

    def masks(self) -> int:
        """Frames that ended in a mask."""
        return int(sum(self.samples("narrows_frames_total", 'outcome="mask"')))


@contextmanager
def running(bundle: Bundle, packets: Packets, folder: Path) -> Iterator[Parts]:
    """Start Redis and Triton.

    Raises:
        ServiceError: one does not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    repository = folder / "models"
    fill_repository(bundle, repository, max_batch=MAX_BATCH)
    put_labels(repository / model_name(bundle.id), bundle, label_maps(bundle, packets))
    with _cluster(folder) as redis, LocalTriton.start(repository, folder, [model_name(bundle.id)]) as triton:
        yield Parts(bundle, redis, triton, folder)


def label_maps(bundle: Bundle, packets: Packets) -> NDArray[np.uint8]:
    """What the bundle's decoder makes of the packets' symbols ``(n, H, W)`` uint8."""
    session = InferenceSession(bundle.cpu_decoder_path, providers=["CPUExecutionProvider"])
    level = np.array([[packets.level]], np.int32)
    return np.stack([session.run(["labels"], {"symbols": s[None], "level": level})[0][0] for s in packets.symbols])


@contextmanager
def _cluster(folder: Path) -> Iterator[Nodes]:
    """Masters without replicas: what is measured is not how they fail."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(LocalRedis.start(folder / f"node-{each}", options=CLUSTER_OPTIONS))
            for each in range(MASTERS)
        ]
        nodes = Nodes(servers)
        for number, each in enumerate(servers):
            first, last = number * _SLOTS // MASTERS, (number + 1) * _SLOTS // MASTERS - 1
            nodes.say(each, "CLUSTER", "ADDSLOTSRANGE", first, last)
            nodes.say(each, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            nodes.say(each, "CLUSTER", "MEET", LOOPBACK, servers[0].port)
        for each in servers:
            eventually(lambda each=each: len(nodes.slots(each)) == MASTERS)  # type: ignore[misc]
            eventually(lambda each=each: b"cluster_state:ok" in nodes.say(each, "CLUSTER", "INFO"))  # type: ignore[misc]
        yield nodes
