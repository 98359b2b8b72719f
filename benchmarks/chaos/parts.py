"""The real processes: Redis, Triton and dispatchers, each kept by a keeper as a restart policy would."""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.chaos.redis_cluster import Nodes
from benchmarks.chaos.redis_cluster import cluster as redis_cluster
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.contract.wire import ShardKeys
from narrows.runtime.direct import open_url
from narrows.runtime.redis import connect
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.servers import Guarded, Keeper, LocalRedis, LocalTriton
from orchestrator.servers.ports import LOOPBACK, free_ports
from orchestrator.telemetry.faults import Cause

SHARDS = 8
_BEGAN = re.compile(r"event=fault_(met|recurs)\b")
_READY_S = 300.0
"""An end to waiting on a machine that is busy; no promise."""
_GAP_S, _GAP_OF_CLUSTER_S = 600, 15
"""One server loses nothing that it acknowledged; what replication lost is counted soon. Not within ten seconds: an
entry whose reading was lost on its way is claimed after so long (``claim_idle_ms``), and is not to be called lost.
"""
_START_TIME = 16  # after state, parent and group: field 22 of proc_pid_stat(5)


class DispatcherProcess:
    """One ``narrows orchestrate``."""

    def __init__(self, command: list[str | Path], log: Path) -> None:
        self.address = f"{LOOPBACK}:{free_ports(1)[0]}"
        self._command = [*command, "--http", self.address]
        self._log = log
        self.process = self._start()

    def running(self) -> bool:
        """Whether it lives."""
        return self.process.poll() is None

    def restart(self) -> None:
        """Start it again; does not wait until it is ready."""
        self.process.stop()
        self.process = self._start()

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def ready(self) -> bool:
        """Whether its probe says so."""
        return self._get("/readyz") is not None

    def faults(self, cause: Cause) -> float:
        """``narrows_faults_total`` of a cause; 0 where it does not answer."""
        families = text_string_to_metric_families(self._get("/metrics") or "")
        samples = (sample for family in families for sample in family.samples)
        return sum(s.value for s in samples if s.name == "narrows_faults_total" and s.labels["cause"] == cause.value)

    def fault_lines(self, cause: Cause) -> list[str]:
        """The log lines that say that such a fault began."""
        lines = self._log.read_text().splitlines()
        return [line for line in lines if _BEGAN.search(line) and f"cause={cause.value} " in f"{line} "]

    def _start(self) -> Guarded:
        return Guarded.start(self._command, log=self._log, grace_s=10.0, environment={"NARROWS_CONFIG": os.devnull})

    def _get(self, path: str) -> str | None:
        try:
            with open_url(f"http://{self.address}{path}", 2.0) as answer:
                return str(answer.read().decode())
        except OSError:
            return None


class Parts:
    """All processes of one install. A context manager.

    Attributes:
        redis_url: the address of Redis.
        redis, redis_keeper: the one server, where it is one.
        nodes: the cluster, where it is one.
    """

    redis: LocalRedis
    redis_keeper: Keeper
    nodes: Nodes

    def __init__(
        self,
        bundle: Bundle,
        folder: Path,
        *,
        dispatchers: int = 2,
        tritons: int = 1,
        load_model: bool = True,
        cluster: bool = False,
    ) -> None:
        """Start them.

        Args:
            bundle: the bundle that is served.
            folder: logs and data.
            dispatchers: how many.
            tritons: how many.
            load_model: whether the model repository is filled and the model loaded before the dispatchers start.
            cluster: three masters and three replicas in the place of one Redis. Nobody keeps these: who strikes one
                starts it again.
        """
        self.bundle, self.folder, self.repository = bundle, folder, folder / "model_repository"
        models = [model_name(bundle.id)] if load_model else []
        with ExitStack() as stack:
            if load_model:
                fill_repository(bundle, self.repository)
            self.repository.mkdir(parents=True, exist_ok=True)
            self._start_redis(stack, cluster=cluster)
            starts = [
                partial(LocalTriton.start, self.repository, folder / f"triton-{n}", models) for n in range(tritons)
            ]
            self.tritons = [stack.enter_context(start()) for start in starts]
            self.dispatchers = [self._dispatcher(n, stack) for n in range(dispatchers)]
            self.triton_keepers = [stack.enter_context(Keeper("tritonserver", triton)) for triton in self.tritons]
            if not cluster:
                self.redis_keeper = stack.enter_context(Keeper("redis", self.redis))
            for dispatcher in self.dispatchers:
                stack.enter_context(Keeper("narrows orchestrate", dispatcher))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def wait_ready(self) -> None:
        """Wait until every dispatcher is.

        Raises:
            ServiceError: one does not get ready.
        """
        give_up_s = time.monotonic() + _READY_S
        for dispatcher in self.dispatchers:
            while not dispatcher.ready():
                if time.monotonic() > give_up_s:
                    raise ServiceError(f"a dispatcher does not get ready:\n{dispatcher.process.tail()}")
                time.sleep(0.05)

    def stubs(self, which: int) -> list[int]:
        """A Triton's processes that run the decoder, oldest first: the last serves, others may wait for their end."""
        triton = self.tritons[which]
        return [pid for pid in _group(triton.pid) if pid != triton.pid]

    def faults(self, cause: Cause) -> float:
        """The metric, over all dispatchers."""
        return sum(dispatcher.faults(cause) for dispatcher in self.dispatchers)

    def fault_lines(self, cause: Cause) -> list[str]:
        """The log lines, of all dispatchers."""
        return [line for dispatcher in self.dispatchers for line in dispatcher.fault_lines(cause)]

    def owners(self) -> set[str]:
        """The dispatchers that hold leases now."""
        with connect(self.redis_url) as client:
            leases = client.mget([ShardKeys(shard).lease for shard in range(SHARDS)])
        return {lease.decode().partition(" ")[2] for lease in leases if lease is not None}

    def _start_redis(self, stack: ExitStack, *, cluster: bool) -> None:
        self._gap_s = _GAP_OF_CLUSTER_S if cluster else _GAP_S
        if cluster:
            self.nodes = stack.enter_context(redis_cluster(self.folder))
            self.redis_url = self.nodes.url
        else:
            self.redis = stack.enter_context(LocalRedis.start(self.folder))
            self.redis_url = self.redis.url

    def _dispatcher(self, number: int, stack: ExitStack) -> DispatcherProcess:
        command: list[str | Path] = [
            *(sys.executable, "-m", "narrows.cli", "orchestrate", "--shards", str(SHARDS)),
            *("--redis-url", self.redis_url),
            *(option for triton in self.tritons for option in ("--triton", triton.grpc_address)),
            *("--bundle", self.bundle.folder, "--retention", "100000", "--gap-s", str(self._gap_s)),
        ]
        dispatcher = DispatcherProcess(command, self.folder / f"orchestrate-{number}.log")
        stack.callback(dispatcher.stop)
        return dispatcher


def _group(group: int) -> list[int]:
    """The living processes of a process group, oldest first."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, own_group, *rest = (entry / "stat").read_text().rpartition(") ")[2].split()
        except (ProcessLookupError, FileNotFoundError):
            continue
        if int(own_group) == group and state not in "ZX":
            members.append((int(rest[_START_TIME]), int(entry.name)))
    return [pid for _, pid in sorted(members)]
