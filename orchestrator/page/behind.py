"""The dispatchers behind the addresses that were given: a name may stand for several, which come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from yarl import URL

from orchestrator.replicas.address import Address
from orchestrator.replicas.resolve import Resolve, resolve

REMEMBERED_S = 30.0


class Behind:
    """Each given ``http://HOST:PORT`` as the addresses that its name has now, or had until lately.

    A dispatcher that died leaves the name at once. It is asked for ``REMEMBERED_S`` more, so that it is missed.
    """

    def __init__(
        self, urls: Sequence[str], resolve: Resolve = resolve, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._urls = [URL(url.rstrip("/")) for url in urls]
        self._resolve = resolve
        self._clock = clock
        self._seen_s: dict[URL, dict[URL, float]] = {url: {} for url in self._urls}

    async def urls(self) -> tuple[list[URL], dict[str, str]]:
        """Every dispatcher's address, and for names with none behind them what is wrong."""
        found: list[URL] = []
        nameless: dict[str, str] = {}
        for url in self._urls:
            problem = await self._look(url)
            if here := self._seen_s[url]:
                found.extend(sorted(here))
            else:
                nameless[str(url)] = problem
        return found, nameless

    async def _look(self, url: URL) -> str:
        """Resolve one name, remember what it has, forget what it has not had for long; what went wrong, if anything."""
        now_s, seen_s = self._clock(), self._seen_s[url]
        name = Address(url.host or "", url.port or 80)
        if name.numeric or url.scheme != "http":  # a certificate is for the name
            seen_s[url] = now_s
            return ""
        problem = ""
        try:
            for place in await self._resolve(name):
                seen_s[URL(f"http://{place}")] = now_s
        except OSError as error:
            problem = f"no dispatcher has this name: {error}"
        for gone in [each for each, last_s in seen_s.items() if last_s < now_s - REMEMBERED_S]:
            del seen_s[gone]
        return problem
