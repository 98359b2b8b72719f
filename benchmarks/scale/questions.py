"""The three questions: what each replica adds, what the model foresees, and what happens on the way up and down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.statistics_of import percentile_ms, steady_rate
from benchmarks.scale.account import Sample, lost, recent, relative_error, streams_at
from benchmarks.scale.cameras import Cameras
from benchmarks.scale.parts import Parts, autoscaling
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.direct import open_url
from orchestrator.dispatch import Store
from orchestrator.scaling.engines.local import LocalServers
from orchestrator.scaling.status import Status

_FILLERS = 8
_SETTLE_S = 1.0
_START_S = 60.0
_LEAD_IN_S = 12.0  # what was offered before is forgotten by then

Level = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Bench:
    """What every question needs."""

    parts: Parts
    store: Store
    packets: Packets


@dataclass(frozen=True)
class Ramp:
    """How cameras come and go, seconds and their number."""

    up_s: float
    hold_s: float
    down_s: float
    tail_s: float
    most: int
    frames_per_s: float


async def throughput(bench: Bench, level: Level, counts: range, guess_per_s: float, length_s: float) -> dict[str, Any]:
    """Frames a second with each number of replicas, from a backlog that lasts; and what was lost while they came."""
    rates: dict[int, float] = {}
    sent, ended = 0, 0
    for count in counts:
        await level(count)
        cameras = await Cameras.register(bench.store, bench.packets, f"full-{count}", _FILLERS, 1.0)
        frames = int(guess_per_s * count * length_s / _FILLERS) + 1
        for _ in range(frames):
            await cameras.send(range(_FILLERS))
        await cameras.ended()
        rates[count] = steady_rate(await _ends(cameras))
        guess_per_s = rates[count] / count
        sent, ended = sent + cameras.sent, ended + (await cameras.accounts()).get("mask", 0)
    return {"frames_per_s": rates, "sent": sent, "lost": sent - ended}


async def foresight(bench: Bench, streams: int, frames_per_s: float, learn_s: float, check_s: float) -> dict[str, Any]:
    """The load at twice the streams as foreseen after ``learn_s``, beside what is measured there.

    The autoscaler only looks (``--dry-run``), so that the capacity stays what it was.
    """
    cameras = await Cameras.register(bench.store, bench.packets, "foresight", 2 * streams, frames_per_s)
    with autoscaling(bench.parts, "--dry-run") as http:
        async with _playing(cameras):
            cameras.active = streams
            await asyncio.sleep(learn_s)
            foreseen = await asyncio.to_thread(_line, http, 2 * streams)
            cameras.active = 2 * streams
            await asyncio.sleep(check_s / 2)
            loads, rates = [], []
            give_up_s = time.monotonic() + check_s / 2
            while time.monotonic() < give_up_s:
                await asyncio.sleep(1.0)
                status = await _status(bench.store)
                if status is not None and status.load is not None and status.server_frames_per_s is not None:
                    loads.append(status.load)
                    rates.append(status.server_frames_per_s)
            await cameras.ended()
    measured = fmean(loads) if loads else float("nan")
    return {
        "streams": streams,
        "learned_s": learn_s,
        "foreseen_load": foreseen,
        "measured_load": measured,
        "learned_frames_per_s": fmean(rates) if rates else float("nan"),
        "prediction_error_2x": relative_error(foreseen, measured),
        "sent": cameras.sent,
        "lost": lost(cameras.sent, await cameras.accounts()),
    }


async def follow(bench: Bench, ramp: Ramp, *options: str, instances: bool) -> dict[str, Any]:
    """Cameras come and go under an autoscaler; one sample a second, and the accounts."""
    cameras = await Cameras.register(bench.store, bench.packets, "ramp", ramp.most, ramp.frames_per_s)
    samples: list[Sample] = []
    await bench.store.call("DEL", ScaleKeys.DECISIONS)
    with autoscaling(bench.parts, *options):
        await _until(bench.store, lambda status: status is not None)
        async with _playing(cameras):
            cameras.active = 1
            await asyncio.sleep(_LEAD_IN_S)
            begun_s, length_s = time.monotonic(), ramp.up_s + ramp.hold_s + ramp.down_s + ramp.tail_s
            while (at_s := time.monotonic() - begun_s) < length_s:
                cameras.active = streams_at(
                    at_s, up_s=ramp.up_s, hold_s=ramp.hold_s, down_s=ramp.down_s, most=ramp.most
                )
                status = await _status(bench.store)
                samples.append(_sample(at_s, cameras, status, instances=instances))
                await asyncio.sleep(1.0 - (time.monotonic() - begun_s) % 1.0)
            await cameras.ended()
        reasons = await _reasons(bench.store)
    accounts = await cameras.accounts()
    latencies_s = [latency for _, latency in cameras.latencies]
    return {
        **asdict(ramp),
        "sent": cameras.sent,
        "accounts": accounts,
        "lost": lost(cameras.sent, accounts),
        "most_replicas": max((s.replicas for s in samples if s.replicas is not None), default=0),
        "changes": sum(a.replicas != b.replicas for a, b in pairwise(samples)),
        **{f"p{percent}_ms": percentile_ms(latencies_s, percent) for percent in (50, 95, 99)},
        "decisions": reasons,
        "samples": [asdict(sample) for sample in samples],
    }


async def until_ready(store: Store, servers: int) -> None:
    """Wait until the supervisor has so many servers that work, and nothing else.

    Raises:
        ServiceError: it does not come to that.
    """
    engine, give_up_s = LocalServers(store), time.monotonic() + _START_S
    while True:
        seen = await engine.observe()
        if (seen.ready, seen.starting, seen.draining) == (servers, 0, 0):
            await asyncio.sleep(_SETTLE_S)
            return
        if time.monotonic() > give_up_s:
            raise ServiceError(f"{servers} servers are wanted and {seen} is there: see the supervisor's log")
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _playing(cameras: Cameras) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(cameras.play()), asyncio.create_task(cameras.watch())]
    try:
        yield
    finally:
        ended = [task for task in tasks if task.done()]
        await cancel_all(tasks)
        for task in ended:
            task.result()  # neither ends by itself, unless it fails


async def _ends(cameras: Cameras) -> list[float]:
    """When masks were there, seconds of Redis' clock."""
    ends: list[float] = []
    for keys in cameras.keys:
        ends += [
            int(entry.partition(b"-")[0]) / 1000
            for entry, _ in await cameras.store.call("XRANGE", keys.outcomes, "-", "+")
        ]
    return ends


async def _status(store: Store) -> Status | None:
    raw = await store.call("GET", ScaleKeys.STATUS)
    try:
        return None if raw is None else Status.parse(raw)
    except RecordError:
        return None


async def _until(store: Store, there: Callable[[Status | None], bool]) -> None:
    give_up_s = time.monotonic() + _START_S
    while not there(await _status(store)):
        if time.monotonic() > give_up_s:
            raise ServiceError("the autoscaler says nothing: see its log")
        await asyncio.sleep(0.2)


async def _reasons(store: Store) -> list[dict[str, str]]:
    entries = await store.call("XRANGE", ScaleKeys.DECISIONS, "-", "+")
    return [
        {name.decode(): value.decode() for name, value in zip(fields[::2], fields[1::2], strict=True)}
        for _, fields in entries
    ]


def _sample(at_s: float, cameras: Cameras, status: Status | None, *, instances: bool) -> Sample:
    at_s, (p95_ms, masks_per_s) = round(at_s, 2), recent(cameras.latencies, time.monotonic())
    if status is None:
        return Sample(at_s, cameras.active, None, None, None, None, p95_ms, masks_per_s)
    replicas, wanted = (status.instances, status.instances_wanted) if instances else (status.ready, status.wanted)
    return Sample(at_s, cameras.active, status.streams, status.load, replicas, wanted, p95_ms, masks_per_s)


def _line(http: str, streams: int) -> float:
    """The load that so many streams would be, by the line that the autoscaler exports; NaN until it has one."""
    with open_url(f"http://{http}/metrics", 10.0) as answer:
        text = answer.read().decode()
    values = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
    return float(values["narrows_load_line_intercept"] + values["narrows_load_line_slope"] * streams)
