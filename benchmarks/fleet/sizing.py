"""What a fleet needs, by arithmetic from measured costs: installs, shards, nodes, cores, network, series, money."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache

from benchmarks.fleet.costs import Costs
from narrows.contract.wire import ShardKeys
from narrows.contract.wire.install import MAX_SHARDS
from narrows.runtime.redis.slots import slot_of

SLOTS = 16384
HOURS_A_MONTH = 730.0
SCRAPE_S = 5.0
"""``scrape_interval`` of ``monitoring/prometheus.yml``."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is chosen, not measured.

    Attributes:
        fps: frames/s of a camera.
        level: rate level.
        load: how busy a core is to be.
        node_load: how busy the core of a Redis node is to be on average: half, for the hottest node has more than
            others, and a node takes over another's clients.
        cameras_a_shard: at most.
        least_shards_a_node: fewer lie too unevenly on the nodes.
        dispatcher_shards: a dispatcher (one core) is to have at least so many, so that shares differ little.
        masks_kept: of each camera (``--retention``).
        backlog_s: frames of so long fit into Redis while no decoder runs.
        zones: masters, replicas, dispatchers and decoders are spread over so many.
        core_h, gib_h: price of a core and of a GiB of memory for an hour. Stand-ins of the order of large clouds' list
            prices, not quotations: put yours.
        zone_gb: price of a GB between zones, both directions together.
        gpu_h: price of a small GPU with its machine, for what it must do to be cheaper than cores.
        gpu_fps: frames/s that one GPU decodes (``make gpu-kit`` measures it); ``None`` where nobody knows.
    """

    fps: float = 5.0
    level: int = 2
    load: float = 0.7
    node_load: float = 0.5
    cameras_a_shard: int = 300
    least_shards_a_node: int = 8
    dispatcher_shards: int = 1
    masks_kept: int = 32
    backlog_s: float = 60.0
    zones: int = 3
    core_h: float = 0.04
    gib_h: float = 0.005
    zone_gb: float = 0.02
    gpu_h: float = 0.60
    gpu_fps: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One size of fleet. Counts are of all installs together; ``shards`` and ``hottest`` of one.

    Attributes:
        installs: independent ones, each with a Redis Cluster of its own.
        masters: Redis nodes that serve slots; each has a replica besides.
        hottest: shards of the fullest master over the mean, as the keys fall.
        redis_gib: memory of all masters and replicas.
        dispatchers: of one core each.
        decoder_cores: where no GPU decodes.
        uplink_mbit_s, zone_mbit_s: packets that come in; what crosses between zones.
        series, samples_per_s: what Prometheus scrapes.
        prometheus: servers that scrape, below the one that federates.
        dollars_a_month, dollars_a_camera: decoders on cores.
        gpu_break_even: frames/s that a GPU at ``gpu_h`` must decode to cost what the cores do.
        gpus, dollars_a_camera_with_gpus: in the place of ``decoder_cores``; ``None`` without ``gpu_fps``.
    """

    cameras: int
    installs: int
    shards: int
    masters: int
    hottest: float
    redis_gib: float
    dispatchers: int
    decoder_cores: int
    uplink_mbit_s: float
    zone_mbit_s: float
    series: int
    samples_per_s: float
    prometheus: int
    dollars_a_month: float
    dollars_a_camera: float
    gpu_break_even: float
    gpus: int | None = None
    dollars_a_camera_with_gpus: float | None = None


_MOST_SERIES = 1_000_000
"""Of one Prometheus, by a cautious reading of its documentation (a few KiB of memory a series)."""
_DISPATCHERS_A_SERVER_SERIES = 100
"""Series of a Triton with one model: a bound, not measured."""


def plan(cameras: int, costs: Costs, chosen: Assumptions) -> Plan:
    """What so many cameras need."""
    installs = _installs(cameras, costs, chosen)
    here = math.ceil(cameras / installs)
    masters, dispatchers = _masters(here, costs, chosen), _cores(here, costs.dispatcher_frame_ms, chosen)
    shards = shards_for(here, masters, dispatchers, chosen)
    frames = cameras * chosen.fps
    decoder_cores = installs * _cores(here, costs.decoder_frame_ms, chosen)
    kept = cameras * chosen.masks_kept * costs.mask_bytes
    gib = 2 * (kept + frames * chosen.backlog_s * costs.waiting_bytes) / 2**30
    between = (chosen.zones - 1) / chosen.zones
    # A packet and its mask go to the dispatcher's zone and back, and each write to a replica in another zone.
    zone_bytes = frames * (costs.packet_bytes + costs.mask_bytes) * (between + 1)
    series = installs * (
        dispatchers * (costs.dispatcher_series + _DISPATCHERS_A_SERVER_SERIES) + costs.autoscaler_series
    )
    cores = decoder_cores + installs * (dispatchers + 2 * masters)
    dollars = HOURS_A_MONTH * (cores * chosen.core_h + gib * chosen.gib_h)
    dollars += zone_bytes * HOURS_A_MONTH * 3600 / 1e9 * chosen.zone_gb
    gpus = installs * _cores(here, 1000 / chosen.gpu_fps, chosen) if chosen.gpu_fps else None
    return Plan(
        cameras=cameras,
        installs=installs,
        shards=shards,
        masters=installs * masters,
        hottest=hottest(shards, masters),
        redis_gib=gib,
        dispatchers=installs * dispatchers,
        decoder_cores=decoder_cores,
        uplink_mbit_s=frames * costs.packet_bytes * 8 / 1e6,
        zone_mbit_s=zone_bytes * 8 / 1e6,
        series=series,
        samples_per_s=series / SCRAPE_S,
        prometheus=max(installs, math.ceil(series / _MOST_SERIES)),
        dollars_a_month=dollars,
        dollars_a_camera=dollars / cameras,
        gpu_break_even=chosen.gpu_h / chosen.core_h * 1000 * chosen.load / costs.decoder_frame_ms,
        gpus=gpus,
        dollars_a_camera_with_gpus=_with_gpus(dollars, decoder_cores, gpus, chosen) / cameras if gpus else None,
    )


def _with_gpus(dollars: float, decoder_cores: int, gpus: int, chosen: Assumptions) -> float:
    return dollars + HOURS_A_MONTH * (gpus * chosen.gpu_h - decoder_cores * chosen.core_h)


def shards_for(cameras: int, masters: int, dispatchers: int, chosen: Assumptions) -> int:
    """The rule for ``--shards``: a power of two, enough for cameras, nodes and dispatchers; at most ``MAX_SHARDS``."""
    wanted = max(
        cameras / chosen.cameras_a_shard,
        masters * chosen.least_shards_a_node,
        dispatchers * chosen.dispatcher_shards,
    )
    return min(MAX_SHARDS, 1 << max(0, math.ceil(math.log2(max(1.0, wanted)))))


@cache
def hottest(shards: int, masters: int) -> float:
    """Shards of the fullest master over the mean, where masters serve equal ranges of slots."""
    at = Counter(slot_of(ShardKeys(shard).lease) * masters // SLOTS for shard in range(shards))
    return max(at.values()) * masters / shards


def _masters(cameras: int, costs: Costs, chosen: Assumptions) -> int:
    """A multiple of the zones."""
    needed = cameras * chosen.fps * costs.redis_frame_ms / 1000 / chosen.node_load
    return chosen.zones * max(1, math.ceil(needed / chosen.zones))


def _cores(cameras: int, frame_ms: float, chosen: Assumptions) -> int:
    """Cores or GPUs: two at least, and so many that what is left without a zone does all the work, fully loaded."""
    busy = cameras * chosen.fps * frame_ms / 1000
    spared = chosen.zones / (chosen.zones - 1)
    return max(2, math.ceil(max(busy / chosen.load, busy * spared)))


def _installs(cameras: int, costs: Costs, chosen: Assumptions) -> int:
    """As few as keep each within ``MAX_SHARDS`` shards."""
    a_camera = chosen.fps / 1000
    most = min(
        MAX_SHARDS * chosen.cameras_a_shard,
        MAX_SHARDS / chosen.least_shards_a_node * chosen.node_load / (a_camera * costs.redis_frame_ms),
        MAX_SHARDS / chosen.dispatcher_shards / (a_camera * costs.dispatcher_frame_ms) * chosen.load,
    )
    return math.ceil(cameras / most)
