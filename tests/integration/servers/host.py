"""`narrows supervise` as a process, and what Redis knows of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from narrows.contract.wire.keys import ScaleKeys
from orchestrator.discovery.record import ServerRecord
from orchestrator.servers.host_record import HostState, WantedServers
from tests.integration.servers.processes import eventually

WAIT_S = 90.0
_ROOT = Path(__file__).parents[3]


@dataclass
class Host:
    """A supervisor and its records."""

    name: str
    client: redis.Redis
    process: subprocess.Popen[bytes]
    log: Path

    def records(self) -> dict[str, ServerRecord]:
        """The registered servers, by slot."""
        records: Any = self.client.hgetall(ScaleKeys.SERVERS)
        return {slot.decode(): ServerRecord.parse(raw) for slot, raw in records.items()}

    def servers(self) -> dict[str, str]:
        """Their addresses, by slot."""
        return {slot: record.address for slot, record in self.records().items()}

    def state(self) -> HostState | None:
        """What it said last."""
        raw: Any = self.client.hget(ScaleKeys.SUPERVISORS, self.name)
        return None if raw is None else HostState.parse(raw)

    def draining(self) -> set[str]:
        """The addresses that drain."""
        addresses: Any = self.client.hkeys(ScaleKeys.DRAINING)
        return {address.decode() for address in addresses}

    def want(self, target: int, token: int = 1) -> None:
        """As a leader would."""
        self.client.hset(ScaleKeys.WANTED, self.name, WantedServers(target, token).to_json())

    def has(self, *, ready: int, draining: int = 0) -> bool:
        """Whether so many are registered and ready, and so many drain."""
        state = self.state()
        return (
            state is not None
            and (state.ready, state.starting, state.draining) == (ready, 0, draining)
            and len(self.servers()) in (ready, ready + draining)
        )

    def comes_to(self, *, ready: int, draining: int = 0) -> None:
        """Wait until that is so."""
        assert eventually(lambda: self.has(ready=ready, draining=draining), WAIT_S), (self.state(), self.told())

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def told(self) -> str:
        """Its log."""
        return self.log.read_text()


@contextmanager
def supervising(url: str, folder: Path, *options: str, name: str = "host") -> Iterator[Host]:
    """Run a supervisor while the context lasts; its log lies in ``folder``."""
    folder.mkdir(exist_ok=True)
    log = folder / f"{name}.log"
    command: Sequence[str] = [
        *(sys.executable, "-m", "narrows.cli", "supervise", "--redis-url", url, "--name", name),
        *("--run-folder", str(folder), *options),
    ]
    environment = os.environ | {"NARROWS_CONFIG": os.devnull}
    with (
        redis.Redis.from_url(url) as client,
        log.open("ab") as output,
        subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            yield Host(name, client, process, log)
        finally:
            process.kill()


def server_pid(address: str) -> int | None:
    """The process of the tritonserver that listens at a gRPC address of this machine."""
    wanted = f"--grpc-port={address.rpartition(':')[2]}".encode()
    for folder in Path("/proc").iterdir():
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in arguments and arguments[0].endswith(b"tritonserver"):
            return int(folder.name)
    return None
