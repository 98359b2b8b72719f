"""The dispatchers behind the addresses that were given: a name may stand for several, which come and go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from orchestrator.discovery.address import Address
from orchestrator.discovery.resolve import Resolve, resolve

REMEMBERED_S = 30.0
NAMED_IN_S = 0.9
"""A name server that takes longer is taken for one that is away: the page looks once a second."""


class Behind:
    """Each given ``http://HOST:PORT`` as the addresses that its name has now, or had until lately.

    A dispatcher that died leaves the name at once. It is asked for ``REMEMBERED_S`` more, so that it is missed.
    """

    def __init__(
        self, urls: Sequence[str], resolve: Resolve = resolve, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._resolve = resolve
        self._clock = clock
        self._seen_s: dict[str, dict[str, float]] = {url: {} for url in self._urls}

    async def urls(self) -> tuple[list[str], dict[str, str]]:
        """Every dispatcher's address, and for names with none behind them what is wrong."""
        found: list[str] = []
        nameless: dict[str, str] = {}
        problems = await asyncio.gather(*map(self._look, self._urls))
        for url, problem in zip(self._urls, problems, strict=True):
            if here := self._seen_s[url]:
                found.extend(sorted(here))
            else:
                nameless[url] = problem
        return found, nameless

    async def _look(self, url: str) -> str:
        """Resolve one name, remember what it has, forget what it has not had for long; what went wrong, if anything."""
        now_s, seen_s = self._clock(), self._seen_s[url]
        parts = urlsplit(url)
        name = Address(parts.hostname or "", parts.port or 80)
        if name.numeric or parts.scheme != "http":  # a certificate is for the name
            seen_s[url] = now_s
            return ""
        problem = ""
        try:
            async with asyncio.timeout(NAMED_IN_S):
                places = await self._resolve(name)
            seen_s.update((f"http://{place}", now_s) for place in places)
        except OSError as error:
            problem = f"no dispatcher has this name: {error or 'no answer in time'}"
        for gone in [each for each, last_s in seen_s.items() if last_s < now_s - REMEMBERED_S]:
            del seen_s[gone]
        return problem
