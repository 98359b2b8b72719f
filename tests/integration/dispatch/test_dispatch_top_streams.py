"""On a real Redis, a dispatcher's report names the camera that floods and the one whose clock is ahead."""

import time

import pytest
import redis

from narrows.client.registry.rates import by_rate, top_streams
from narrows.contract.wire import StreamSettings
from orchestrator.dispatch import Store
from orchestrator.dispatch import top_streams as counting
from orchestrator.servers import LocalRedis
from tests.integration.dispatch.rig import MakeCamera, Start, until


async def test_the_report_names_who_floods_and_whose_clock_is_ahead(
    server: LocalRedis, store: Store, dispatching: Start, camera: MakeCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "WINDOW_S", 0.3)
    flood, quiet = camera("flood"), camera("quiet")

    async def named() -> bool:
        await flood.frames(8)
        await quiet.send(quiet.packet(capture_ms=int(time.time() * 1000) + 60_000))
        with redis.Redis.from_url(server.url) as client:
            rates = top_streams(client).values()
        most = [each.stream for each in by_rate(rates, "offered_per_s")]
        return most == ["flood", "quiet"] and [each.stream for each in by_rate(rates, "clock_ahead_per_s")] == ["quiet"]

    async with dispatching():
        await until(named)


async def test_who_loses_frames_is_named(
    server: LocalRedis, store: Store, dispatching: Start, camera: MakeCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "WINDOW_S", 0.3)
    late, fine = camera("late"), camera("fine")
    await late.settings(StreamSettings(stale_ms=1).to_json())

    async def named() -> bool:
        await late.frames(4)
        await fine.frames(4)
        with redis.Redis.from_url(server.url) as client:
            rates = top_streams(client).values()
        return [each.stream for each in by_rate(rates, "skipped_per_s")] == ["late"]

    async with dispatching():
        await until(named)
