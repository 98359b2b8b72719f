"""Memory: of Redis for a frame that waits and a mask that is kept, of a dispatcher for a stream's references.

Example: python -m benchmarks.sizing
"""

from __future__ import annotations

import argparse
import asyncio
import math
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from benchmarks.pipeline.fleet import Fleet
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.stack import running
from benchmarks.record import write_result
from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.wire import StreamKeys
from narrows.contract.wire.feature import FeaturePacket, FrameIdentity
from narrows.contract.wire.frame_packet.feature import of_feature
from narrows.contract.wire.streams import MaskPacking, Policy, StreamSettings
from narrows.runtime.pictures import read_picture
from orchestrator.dispatch import Store
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.reference_memory import ReferenceMemory
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.servers import LocalRedis

_STREAMS, _FRAMES = 100, 50
_MASKS = 400
_SHARDS = 4
_CACHED_STREAMS = 50


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-sizing", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--frames", type=Path, default=Path("samples"), help="folder of pictures, searched through")
    parser.add_argument("--run-folder", type=Path, default=Path("build/bench-sizing"))
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    shutil.rmtree(options.run_folder, ignore_errors=True)
    figures = asyncio.run(measure(bundle, options.frames, options.run_folder))
    show(figures)
    print(write_result("sizing", "make bench-sizing", {"bundle": bundle.hex_id} | figures))


async def measure(bundle: Bundle, frames: Path, folder: Path) -> dict[str, Any]:
    """All three questions."""
    with LocalRedis.start(folder / "waiting") as redis:
        store = Store.connect(redis.url)
        waiting = [await _waiting(store, packets, level) for level, packets in enumerate(_by_level(bundle, frames))]
        await store.close()
    return {
        "waiting": waiting,
        "kept": await _kept(bundle, frames, folder / "kept"),
        "references": references_of(bundle, frames),
    }


def references_of(bundle: Bundle, frames: Path) -> dict[str, float]:
    """What the references of a stream take, by the allocator and as the dispatcher counts them: a K packet, then P."""
    kept, level = DispatchSettings().cached_references, bundle.manifest.finest_level_within(0.1)
    chains, memory = Packets.chains(bundle, frames, level, kept), ReferenceMemory(math.inf)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    caches = [_filled(ReferenceCache(kept, memory), chains, stream) for stream in range(_CACHED_STREAMS)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "kept": kept,
        "bytes_a_stream": (after - before) / len(caches),
        "counted_a_stream": memory.used_bytes / len(caches),
    }


def _filled(cache: ReferenceCache, chains: Packets, stream: int) -> ReferenceCache:
    for sequence in range(chains.chain):
        packet = of_feature(FeaturePacket.parse(chains.body(1, sequence, stream)))
        symbols = chains.symbols[(stream * chains.chain + sequence) % len(chains.symbols)]
        cache.remember(packet, symbols.copy())
    return cache


async def _waiting(store: Store, packets: Sequence[FeaturePacket], level: int) -> dict[str, float]:
    """What a frame takes while it waits, as its stream has many of them."""
    await store.call("FLUSHALL", "SYNC")  # what is freed later would count as what this level takes less
    before = await _used_bytes(store)
    for number in range(_STREAMS):
        key = StreamKeys.of(f"cam-{number}", _SHARDS).features
        bodies = [replace(packets[i % len(packets)], sequence=i).to_bytes() for i in range(number, number + _FRAMES)]
        await store.many([("XADD", key, "*", "p", body) for body in bodies])
    each = (await _used_bytes(store) - before) / (_STREAMS * _FRAMES)
    return {
        "level": level,
        "packet_bytes": float(np.mean([len(packet.to_bytes()) for packet in packets])),
        "redis_bytes": each,
    }


async def _kept(bundle: Bundle, frames: Path, folder: Path) -> dict[str, float]:
    """What a mask takes that is kept for subscribers, and how many of a stream are."""
    packets = Packets.encode(bundle, frames)
    with running(bundle, folder) as stack:
        store = Store.connect(stack.redis.url)
        each = {packing: await _kept_packed(store, packets, packing) for packing in MaskPacking}
        await store.close()
    return {
        "redis_bytes": each[MaskPacking.FAST],
        "small_redis_bytes": each[MaskPacking.SMALL],
        "masks_a_stream": DispatchSettings().retention,
    }


async def _kept_packed(store: Store, packets: Packets, packing: MaskPacking) -> float:
    settings = StreamSettings(policy=Policy.COMPLETE, masks=packing)
    fleet = await Fleet.register(store, packets, packing.value, 8, lambda _: settings)
    before = await _used_bytes(store)
    await fleet.preload(_MASKS)
    await fleet.drained()
    return (await _used_bytes(store) - before) / sum(await fleet.mask_counts())


def _by_level(bundle: Bundle, frames: Path) -> list[list[FeaturePacket]]:
    encoder, coder = OnnxEncoder(bundle), FrameCoder(bundle)
    pictures = [read_picture(path) for path in sorted(frames.rglob("*.jpg"))]
    latents = [encoder.latent(encoder.fit(picture)) for picture in pictures]
    levels = range(len(bundle.manifest.levels))
    return [[coder.packet(latent, level, FrameIdentity(1, 0), 0) for latent in latents] for level in levels]


async def _used_bytes(store: Store) -> int:
    lines = (await store.call("INFO", "memory")).decode().splitlines()
    return int(next(line for line in lines if line.startswith("used_memory:")).partition(":")[2])


def show(figures: dict[str, Any]) -> None:
    """Print them."""
    table = Table("level", "packet, bytes", "in Redis, bytes")
    for row in figures["waiting"]:
        table.add_row(str(row["level"]), f"{row['packet_bytes']:,.0f}", f"{row['redis_bytes']:,.0f}")
    console = Console()
    console.print(table)
    kept = figures["kept"]
    sizes = f"{kept['redis_bytes']:,.0f} bytes, {kept['small_redis_bytes']:,.0f} where masks are kept small"
    found = figures["references"]
    console.print(f"{found['kept']} references of a stream: {found['bytes_a_stream']:,.0f} bytes in the dispatcher")
    console.print(f"a mask that is kept: {sizes}; {kept['masks_a_stream']} a stream")


if __name__ == "__main__":
    main()
