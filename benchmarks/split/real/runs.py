"""Several contenders on one trace at the same time: each a camera with a share of a core, behind a link of its own.

The cloud is one for all of them. What others take of it is taken from the processor time of its Triton: a core for
each camera, less the trace's load.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from benchmarks.pipeline.stack import MAX_BATCH, dispatching
from benchmarks.split.real.scores import Play, Result
from benchmarks.split.traces import SplitTrace
from benchmarks.uplink.link import Link, links
from narrows.client.registry import StreamRegistry
from narrows.contract.bundle import SplitBundle
from narrows.contract.errors import ServiceError
from narrows.contract.schedule import Objective
from narrows.contract.wire import Install, MaskPacket, Policy, StreamKeys, StreamSettings
from narrows.contract.wire.keys import KIND_FIELD, PACKET_FIELD
from narrows.contract.wire.outcome import MASK
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.servers import Guarded, LocalRedis, LocalTriton
from orchestrator.servers.cpu_quota import CpuGroup, Hierarchy, find_hierarchy

FRAMES_PER_S = {Objective.THROUGHPUT: 30.0, Objective.LATENCY: 5.0}
_CORES_A_CAMERA = 1.0
_SHARDS = 4
_FIRST_FRAME_S, _DRAIN_S = 120.0, 60.0
_LOOK_S = 0.05
_ALONE = {"NARROWS_CONFIG": os.devnull, "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Cloud:
    """The real parts, and what limits their processor time.

    Attributes:
        group: Triton's.
        cameras: that the cloud is sized for.
    """

    bundle: SplitBundle
    redis: LocalRedis
    triton: LocalTriton
    hierarchy: Hierarchy
    group: CpuGroup
    cameras: int
    folder: Path
    pictures: Path

    def load(self, share: float) -> None:
        """Let others take a share of it."""
        self.hierarchy.group(self.group.folder.name, self.cameras * _CORES_A_CAMERA * (1 - share))

    def open_redis(self, addresses: Sequence[str]) -> None:
        """Have Redis listen at the cloud's ends of the links too: nobody but the cameras can reach them."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.config_set("protected-mode", "no")
            client.config_set("bind", " ".join(("127.0.0.1", *addresses)))


@contextmanager
def running(bundle: SplitBundle, folder: Path, pictures: Path, cameras: int) -> Iterator[Cloud]:
    """Redis, a Triton with a model for each tail, and one dispatcher.

    Raises:
        ServiceError: one does not start, or no control group can be made.
    """
    repository, hierarchy = folder / "models", find_hierarchy()
    for tail in bundle.tails:
        fill_repository(tail, repository, max_batch=MAX_BATCH if tail.batched else 1)
    group = hierarchy.group(f"narrows-bench-cloud-{os.getpid()}", cameras * _CORES_A_CAMERA)
    models = [model_name(tail.id) for tail in bundle.tails]
    with ExitStack() as exits:
        exits.callback(group.remove)
        server = exits.enter_context(LocalRedis.start(folder))
        triton = exits.enter_context(LocalTriton.start(repository, folder, models, launcher=group.launcher))
        exits.enter_context(dispatching(bundle, server, triton, folder, _SHARDS))
        yield Cloud(bundle, server, triton, hierarchy, group, cameras, folder, pictures)


def play(
    cloud: Cloud, trace: SplitTrace, contenders: Sequence[str], objective: Objective, quota_cores: float
) -> dict[str, Result]:
    """All of them on the same trace at the same time."""
    with ExitStack() as exits:
        found = exits.enter_context(links([trace.link] * len(contenders)))
        cloud.open_redis([link.address for link in found])
        cloud.load(trace.cloud_load[0])
        cameras = [
            exits.enter_context(_Camera.started(cloud, link, name, objective, quota_cores))
            for link, name in zip(found, contenders, strict=True)
        ]
        for camera in cameras:
            camera.wait_for_first()
        for camera in cameras:
            camera.slow_down()
        began_s, began_ms = time.monotonic(), time.time() * 1e3
        for second in range(trace.length_s):
            time.sleep(max(0.0, began_s + second - time.monotonic()))
            cloud.load(trace.cloud_load[second])
            for link in found:
                link.follow(second)
        time.sleep(max(0.0, began_s + trace.length_s - time.monotonic()))
        cloud.load(0.0)
        for camera in cameras:
            camera.end()
        results = {camera.contender: camera.result(began_ms, trace.length_s) for camera in cameras}
        cloud.open_redis([])
    return results


@dataclass
class _Camera:
    cloud: Cloud
    link: Link
    contender: str
    folder: Path
    keys: StreamKeys
    program: Guarded
    slow: CpuGroup

    @classmethod
    @contextmanager
    def started(
        cls, cloud: Cloud, link: Link, contender: str, objective: Objective, quota_cores: float
    ) -> Iterator[_Camera]:
        """At full speed, so that importing Python's modules takes no minute."""
        stream = f"cam-{link.number}-{time.time_ns():x}"
        folder = cloud.folder / "cameras" / stream
        folder.mkdir(parents=True)
        with redis.Redis.from_url(cloud.redis.url) as client:
            StreamRegistry(client, Install(_SHARDS)).set(
                stream, StreamSettings(policy=Policy.COMPLETE), who="bench-split"
            )
        slow = cloud.hierarchy.group(f"narrows-bench-{stream}", quota_cores)
        command = [
            *(*link.enter, sys.executable, "-W", "ignore", "-m", "benchmarks.split.real.camera"),
            *("--contender", contender, "--stream", stream, "--objective", objective.value),
            *("--redis-url", f"redis://{link.address}:{cloud.redis.port}/0", "--source", str(cloud.pictures)),
            *("--bundle", str(cloud.bundle.folder), "--folder", str(folder)),
            *("--quota", f"{quota_cores:g}", "--fps", f"{FRAMES_PER_S[objective]:g}"),
        ]
        program = Guarded.start(command, log=folder / "edge.log", environment=_ALONE, grace_s=_DRAIN_S)
        try:
            yield cls(cloud, link, contender, folder, StreamKeys.of(stream, _SHARDS), program, slow)
        finally:
            program.stop()
            slow.remove()

    def wait_for_first(self) -> None:
        """Until a frame was sent.

        Raises:
            ServiceError: none is.
        """
        give_up_s = time.monotonic() + _FIRST_FRAME_S
        while not any(line.get("sent") for line in self.journal()):
            if self.program.poll() is not None or time.monotonic() > give_up_s:
                raise ServiceError(
                    f"{self.contender} sends nothing; the end of {self.program.log}:\n{self.program.tail()}"
                )
            time.sleep(_LOOK_S)

    def slow_down(self) -> None:
        """Have the device its share of a core from now on."""
        (self.slow.folder / "cgroup.procs").write_text(str(self.program.pid))

    def end(self) -> None:
        """At full speed again: take no more frames, send what waits, and see every frame that was sent ended.

        Raises:
            ServiceError: frames that were sent have no end.
        """
        (self.cloud.hierarchy.folder / "cgroup.procs").write_text(str(self.program.pid))
        self.link.follow(self._widest())
        self.program.stop()

    def result(self, began_ms: float, length_s: int) -> Result:
        """Once every frame that was sent ended, or none ended for a minute: a cloud in demand leaves a backlog."""
        lines = self.journal()
        sent = sum(1 for line in lines if line.get("sent"))
        ended, changed_s = self._ended(), time.monotonic()
        while ended < sent and time.monotonic() < changed_s + _DRAIN_S:
            time.sleep(_LOOK_S)
            before, ended = ended, self._ended()
            changed_s = changed_s if ended == before else time.monotonic()
        return Play(began_ms, length_s, lines, self._done_ms(), self._ended_otherwise()).result()

    def journal(self) -> list[dict[str, Any]]:
        """Its lines so far."""
        path = self.folder / "journal.jsonl"
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def _widest(self) -> int:
        rates = self.link.trace.kbit_s
        return rates.index(max(rates))

    def _ended(self) -> int:
        """Frames with an end, by the ledger."""
        return self._counted("mask") + self._ended_otherwise()

    def _ended_otherwise(self) -> int:
        """Those that ended in no result."""
        return self._counted("skipped") + self._counted("refused")

    def _counted(self, outcome: str) -> int:
        with redis.Redis.from_url(self.cloud.redis.url) as client:
            count: Any = client.hget(self.keys.ledger, outcome)
        return int(count or 0)

    def _done_ms(self) -> dict[tuple[int, int], int]:
        """When each result was there, by epoch and sequence: the server's clock, which is the camera's here."""
        with redis.Redis.from_url(self.cloud.redis.url) as client:
            entries: Any = client.xrange(self.keys.outcomes)
        found = {}
        for entry_id, fields in entries:
            if fields[KIND_FIELD] == MASK:
                identity = MaskPacket.parse(fields[PACKET_FIELD]).identity
                found[identity.epoch, identity.sequence] = int(entry_id.split(b"-")[0])
        return found
