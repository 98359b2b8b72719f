"""A real dispatcher and autoscaler with up to 10,000 streams, each of a group of its own: how large is a scrape?

Every stream sends a frame that ends in a mask, the first 200 also three that are refused, so that labels can grow.

Example: python -m benchmarks.scrape --quick
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.pipeline.fleet import SHARDS, Fleet
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.stack import Stack, running
from benchmarks.record import write_result
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.contract.wire.streams import Policy, StreamSettings
from narrows.runtime.direct import open_url
from orchestrator.dispatch import Store
from orchestrator.servers import Guarded
from orchestrator.servers.ports import LOOPBACK, free_ports

STREAMS, QUICK = (10, 1_000, 10_000), (10, 100)
_PART = 200
_ANSWERS = 9
_STREAMS_A_SHARD = 300  # as docs/speed.md advises
_SETTLE_S = 6.0
_READY_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-scrape", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--quick", action="store_true", help="few streams; writes nothing")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-scrape"))
    options = parser.parse_args()
    bundle, before = Bundle.open(options.bundle), os.getloadavg()[0]
    packets = Packets.encode(bundle, options.frames)
    rows = [
        asyncio.run(measure(bundle, packets, options.run_folder, count))
        for count in (QUICK if options.quick else STREAMS)
    ]
    show(rows)
    if not options.quick:
        load = {"load_average_before": before, "load_average_after": os.getloadavg()[0]}
        print(write_result("scrape", "make bench-scrape", {"bundle": bundle.hex_id, "rows": rows} | load))


async def measure(bundle: Bundle, packets: Packets, folder: Path, count: int) -> dict[str, Any]:
    """So many streams, each in its own group."""
    size = bundle.manifest.input
    labels = np.zeros((1, size.height, size.width), np.uint8)
    shards = max(SHARDS, count // _STREAMS_A_SHARD)
    with running(bundle, folder, labels=labels, shards=shards) as stack:
        store = Store.connect(stack.redis.url)
        try:
            fleet = await Fleet.register(
                store,
                packets,
                "cam",
                count,
                lambda i: StreamSettings(policy=Policy.COMPLETE, group=f"site-{i}"),
                shards,
            )
            await _send(fleet)
        finally:
            await store.close()
        with _autoscaler(stack, folder) as scale:
            await asyncio.sleep(_SETTLE_S)
            return {"streams": count, "groups": count, "dispatcher": scrape(stack.http), "autoscaler": scrape(scale)}


def scrape(address: str) -> dict[str, float]:
    """The size of an answer, its series, and how long the program takes for it."""
    took_s, body = [], b""
    for _ in range(_ANSWERS):
        begun_s = time.perf_counter()
        with open_url(f"http://{address}/metrics", 10.0) as answer:
            body = answer.read()
        took_s.append(time.perf_counter() - begun_s)
    series = sum(1 for line in body.splitlines() if line and not line.startswith(b"#"))
    return {
        "series": series,
        "bytes": len(body),
        "gzip_bytes": len(gzip.compress(body)),
        "answer_ms": 1000 * statistics.median(took_s),
    }


async def _send(fleet: Fleet) -> None:
    """One good frame of each stream, and of the first streams one cut short, one damaged and one of a foreign bundle.

    In parts that end before the next begins, so that a busy machine gets through as well.
    """
    good = fleet.packets.packets[0]
    body = good.to_bytes()
    bad = (body[:10], body[:-1] + bytes([body[-1] ^ 1]), replace(good, bundle_id=good.bundle_id ^ 1).to_bytes())
    for first in range(0, len(fleet.keys), _PART):
        part = fleet.keys[first : first + _PART]
        bodies = [fleet.packets.body(1, 0, i) for i in range(len(part))]
        await fleet.store.many([("XADD", k.features, "*", "p", each) for k, each in zip(part, bodies, strict=True)])
        if first == 0:
            await fleet.store.many([("XADD", k.features, "*", "p", each) for k in part for each in bad])
        await Fleet(fleet.store, fleet.packets, part).drained()


@contextmanager
def _autoscaler(stack: Stack, folder: Path) -> Iterator[str]:
    http = f"{LOOPBACK}:{free_ports(1)[0]}"
    command = (
        sys.executable,
        "-m",
        "narrows.cli",
        "autoscale",
        "--redis-url",
        stack.redis.url,
        "--http",
        http,
        "--metrics-port",
        "0",
    )
    with Guarded.start(command, log=folder / "autoscale.log") as process:
        _wait_for_looks(process, http)
        yield http


def _wait_for_looks(process: Guarded, http: str) -> None:
    give_up_s = time.monotonic() + _READY_S
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            with open_url(f"http://{http}/readyz", 1.0):
                return
        except OSError:
            time.sleep(0.1)
    raise ServiceError(f"narrows autoscale does not get ready; the end of {process.log}:\n{process.tail()}")


def show(rows: list[dict[str, Any]]) -> None:
    """Print them."""
    table = Table("streams", "program", "series", "bytes", "gzip", "answer, ms")
    for row in rows:
        for program in ("dispatcher", "autoscaler"):
            each = row[program]
            numbers = [f"{each[name]:,}" for name in ("series", "bytes", "gzip_bytes")]
            table.add_row(f"{row['streams']:,}", program, *numbers, f"{each['answer_ms']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
