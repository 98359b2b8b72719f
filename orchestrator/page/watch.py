"""The page's eyes: two rounds a second apart, of dispatchers and of Redis, and the view that visitors are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import structlog

from narrows.client.painting import Legend
from narrows.contract.errors import NarrowsError
from narrows.contract.wire import FrameIdentity
from narrows.runtime.loop_guard import LoopGuard
from narrows.runtime.reminder import Reminder
from orchestrator.page.answer import fleet_json, legends_json, row_json, states_json
from orchestrator.page.directory import Directory, StreamTable
from orchestrator.page.filmed import Filmed
from orchestrator.page.fleet import FleetHistory, FleetView
from orchestrator.page.latest_masks import LatestMask, LatestMasks
from orchestrator.page.redis_view import RedisView
from orchestrator.page.rows import Query, count_states, page_of
from orchestrator.page.scrape import Scraper
from orchestrator.page.verdict import as_json, judge

_log = structlog.get_logger(__name__)
_ROUND_S = 1.0
_LOOK_EVERY = 2
_LONGEST_LOOK_S = 1.0
_REDIS_LATE_S = 3.0
T = TypeVar("T")


class Watch:
    """Keeps the newest fleet view and standing; answers from them."""

    def __init__(self, scraper: Scraper, view: RedisView, legends: Sequence[Legend], filmed: Filmed | None) -> None:
        self._scraper, self._legends, self._filmed = scraper, legends, filmed
        self._directory = Directory(view)
        self._latest_masks = LatestMasks(view, legends)
        self._history = FleetHistory()
        self._fleet: FleetView | None = None
        self._standing = StreamTable()
        self._redis_trouble = ""
        self._reminder = Reminder()
        self._redis_answered_s = time.monotonic()
        self._rounds = ThreadPoolExecutor(1, thread_name_prefix="rounds")
        self._visits = ThreadPoolExecutor(2, thread_name_prefix="visits")

    async def run(self) -> None:
        """Look at both, once a second, until cancelled."""
        guard = LoopGuard()
        async with asyncio.TaskGroup() as group:
            for name, look in (("dispatchers", self._look_at_dispatchers), ("redis", self._look_at_redis)):
                group.create_task(guard.keep(name, partial(_every, _ROUND_S, look)))

    def close(self) -> None:
        """Wait for no thread any more."""
        self._rounds.shutdown(wait=False, cancel_futures=True)
        self._visits.shutdown(wait=False, cancel_futures=True)

    async def view(self, query: Query) -> dict[str, Any]:
        """The whole screen: verdict, fleet, and one page of streams."""
        standing, fleet = self._standing, self._fleet
        page = page_of(standing.rows, query)
        latest_masks = await self._latest_masks_of([row.stream for row in page.rows])
        return {
            "verdict": as_json(judge(fleet, standing.rows, self._trouble())),
            "fleet": fleet and fleet_json(fleet),
            "streams": {
                "all": len(standing.rows),
                "matching": page.matching,
                "pages": page.pages,
                "page": page.page,
                "states": states_json(count_states(standing.rows)),
                "rows": [
                    row_json(
                        row,
                        latest_masks.get(row.stream, LatestMask()),
                        standing.now_ms,
                        filmed=self._filmed is not None,
                    )
                    for row in page.rows
                ],
            },
        }

    def legends(self) -> list[dict[str, Any]]:
        """Names and colours of the classes."""
        return legends_json(self._legends)

    async def mask(self, stream: str, entry: str) -> tuple[str, bytes]:
        """The mask of that entry, or the newest ('' asks for it): entry id and PNG; empty where there is none.

        Raises:
            ServiceError: Redis is away or refuses.
        """
        return await self._visit(lambda: self._latest_masks.png(stream, entry))

    async def objects(self, stream: str, entry: str) -> tuple[str, bytes]:
        """What the camera outlined in that mask's frame, as a PNG over the whole picture; empty where it is nothing.

        Raises:
            ServiceError: Redis is away or refuses.
        """
        return await self._visit(lambda: self._latest_masks.objects(stream, entry))

    async def frame(self, stream: str, epoch: int, sequence: int) -> tuple[bytes, str] | None:
        """What the camera filmed for that frame, and its media type; ``None`` outside a demo."""
        filmed = self._filmed
        if filmed is None:
            return None
        return await self._visit(lambda: filmed.picture(stream, FrameIdentity(epoch, sequence)))

    async def _latest_masks_of(self, streams: list[str]) -> dict[str, LatestMask]:
        """The newest masks, or what is known of them where Redis takes its time: a visitor is answered anyway."""
        if not self._trouble():
            try:
                async with asyncio.timeout(_LONGEST_LOOK_S):
                    return await self._visit(lambda: self._latest_masks.look(streams))
            except NarrowsError as error:
                self._in_trouble(str(error))
            except TimeoutError:
                pass
        return self._latest_masks.kept(streams)

    def _trouble(self) -> str:
        if self._redis_trouble or time.monotonic() - self._redis_answered_s < _REDIS_LATE_S:
            return self._redis_trouble
        return "Redis does not answer in time: is its server hung, or overloaded?"

    async def _look_at_dispatchers(self, _: int) -> None:
        self._fleet = self._history.take(*await self._scraper.round())

    async def _look_at_redis(self, number: int) -> None:
        try:
            self._standing = await self._round(lambda: self._read(look=number % _LOOK_EVERY == 0))
        except NarrowsError as error:
            self._in_trouble(str(error))
        else:
            self._redis_trouble, self._redis_answered_s = "", time.monotonic()
            self._reminder.over()

    def _read(self, *, look: bool) -> StreamTable:
        if look:
            self._directory.look_for_streams()
        return self._directory.feel_pulses()

    def _in_trouble(self, what: str) -> None:
        if self._reminder.due(what):
            _log.warning("redis_read_failed", error=what)
        self._redis_trouble = what

    async def _round(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._rounds, work)

    async def _visit(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._visits, work)


async def _every(seconds: float, work: Callable[[int], Awaitable[None]]) -> None:
    """Do it again and again, so many seconds from one beginning to the next."""
    number = 0
    while True:
        begun_s = time.monotonic()
        await work(number)
        number += 1
        await asyncio.sleep(max(0.1, seconds - (time.monotonic() - begun_s)))
