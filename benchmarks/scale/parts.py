"""The real parts as processes: Valkey, ``narrows supervise``, ``narrows orchestrate`` and ``narrows autoscale``."""

from __future__ import annotations

import os
import shutil
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.contract.wire.install import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.direct import open_url
from orchestrator.dispatch import Store
from orchestrator.servers import Guarded, LocalRedis
from orchestrator.servers.ports import LOOPBACK, free_ports

SHARDS = 4
MAX_BATCH = 8
_READY_S = 60.0
_ALONE = {"NARROWS_CONFIG": os.devnull}


@dataclass(frozen=True)
class Parts:
    """What runs, and where it lies."""

    bundle: Bundle
    folder: Path
    redis: LocalRedis


@contextmanager
def running(bundle: Bundle, folder: Path, *, slots: int, cpu_quota: float | None) -> Iterator[Parts]:
    """Redis, a supervisor with one server in ``slots`` slots, and a dispatcher that finds what is registered.

    Raises:
        ServiceError: a part does not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with LocalRedis.start(folder) as redis:
        parts = Parts(bundle, folder, redis)
        quota = () if cpu_quota is None else ("--cpu-quota", f"{cpu_quota:g}")
        http = f"{LOOPBACK}:{free_ports(1)[0]}"
        with (
            _program(
                *(
                    parts,
                    "supervise",
                    "--bundle",
                    str(bundle.folder),
                    "--name",
                    "bench",
                    "--max-servers-per-host",
                    str(slots),
                ),
                *("--run-folder", str(folder / "supervise"), "--max-batch", str(MAX_BATCH), *quota),
                grace_s=60.0,
            ),
            _program(
                *(parts, "orchestrate", "--bundle", str(bundle.folder), "--triton", "redis:", "--http", http),
                *("--shards", str(SHARDS), "--max-batch", str(MAX_BATCH), "--retention", "100000"),
                grace_s=10.0,
            ) as dispatcher,
        ):
            _wait_ready(dispatcher, http)
            yield parts


@contextmanager
def autoscaling(parts: Parts, *options: str) -> Iterator[str]:
    """An autoscaler of the supervised servers while the context lasts; yields where its metrics are."""
    http = f"{LOOPBACK}:{free_ports(1)[0]}"
    command = (
        *("autoscale", "--engine", "local", "--interval", "1", "--max-batch", str(MAX_BATCH), "--startup-s", "3"),
        *("--http", http, *options),
    )
    with _program(parts, *command, grace_s=10.0):
        yield http


async def connected(parts: Parts) -> Store:
    """A connection to the parts' Redis."""
    store = Store.connect(parts.redis.url)
    await store.call("SET", INSTALL_KEY, Install(SHARDS).to_json(), "NX")
    return store


def _program(parts: Parts, name: str, *options: str, grace_s: float) -> Guarded:
    command = [sys.executable, "-m", "narrows.cli", name, "--redis-url", parts.redis.url, *options]
    return Guarded.start(command, log=parts.folder / f"{name}.log", environment=_ALONE, grace_s=grace_s)


def _wait_ready(process: Guarded, http: str) -> None:
    give_up_s = time.monotonic() + _READY_S
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            with open_url(f"http://{http}/readyz", 1.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServiceError(f"{process.log.stem} does not get ready; the end of {process.log}:\n{process.tail()}")
