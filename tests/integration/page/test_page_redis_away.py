"""A Redis that hangs or dies under the page: said in words, answered meanwhile, and well again when it is back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import redis

from narrows.contract.wire import Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.http import serve
from orchestrator.page.behind import Behind
from orchestrator.page.guard import Guard
from orchestrator.page.prompting import Prompting
from orchestrator.page.redis_view import RedisView
from orchestrator.page.routes import make_page
from orchestrator.page.scrape import Scraper
from orchestrator.page.watch import Watch
from orchestrator.servers import LocalRedis


class Visitor:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def verdict(self) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/api/view") as response:
            assert response.status == 200
            return dict((await response.json())["verdict"])

    async def reads(self, words: str) -> None:
        """Until a finding or the headline has these words; the limit only ends a test that fails."""
        async with asyncio.timeout(60):
            while words not in str(verdict := await self.verdict()):
                await asyncio.sleep(0.1)
                assert verdict["text"]


@asynccontextmanager
async def visiting(server: LocalRedis) -> AsyncIterator[Visitor]:
    with redis.Redis.from_url(server.url) as client:
        client.set(INSTALL_KEY, Install(4).to_json())
        client.xadd(StreamKeys.of("cam-1", 4).features, {"p": b"frame"})
    async with aiohttp.ClientSession() as session:
        view, prompting = RedisView(server.url), Prompting(server.url)
        watch = Watch(Scraper(session, Behind([])), view, [], None)
        running = asyncio.create_task(watch.run())
        async with serve(make_page(watch, Guard(None), prompting), "127.0.0.1:0") as address:
            yield Visitor(session, f"http://{address}")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        watch.close()
        prompting.close()
        view.close()


async def test_a_redis_that_hangs_is_said_and_visitors_are_answered_meanwhile(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server:
        async with visiting(server) as visitor:
            await visitor.reads("cam-1")  # silent for long enough to be named
            os.kill(server.pid, signal.SIGSTOP)
            try:
                await visitor.reads("Redis")
                assert (await visitor.verdict())["level"] == "ill"
            finally:
                os.kill(server.pid, signal.SIGCONT)
            await visitor.reads("cam-1: no frame comes any more")


async def test_a_redis_that_is_started_again_is_read_again(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server:
        async with visiting(server) as visitor:
            await visitor.reads("cam-1")
            server.stop()
            await visitor.reads("does not answer")
            with LocalRedis.start(tmp_path, port=server.port):
                await visitor.reads("cam-1: no frame comes any more")
