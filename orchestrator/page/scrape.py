"""Asking dispatchers how they are."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import aiohttp

from narrows.contract.errors import ServiceError
from narrows.runtime.http import bearer_headers
from orchestrator.page.behind import Behind
from orchestrator.page.reading import DispatcherReading, parse_metrics

_ANSWER_S = 0.9


class Scraper:
    """Reads ``/metrics`` and ``/readyz`` of every dispatcher at once."""

    def __init__(self, session: aiohttp.ClientSession, dispatchers: Behind, token: str | None = None) -> None:
        self._session = session
        self._headers = bearer_headers(token)
        self._dispatchers = dispatchers

    async def round(self) -> tuple[dict[str, DispatcherReading], dict[str, str]]:
        """Readings by address, and for those without one what is wrong."""
        urls, nameless = await self._dispatchers.urls()
        answers = await asyncio.gather(*(self._one(url) for url in urls))
        found = dict(zip(urls, answers, strict=True))
        readings = {url: answer for url, answer in found.items() if isinstance(answer, DispatcherReading)}
        return readings, nameless | {url: answer for url, answer in found.items() if isinstance(answer, str)}

    async def _one(self, url: str) -> DispatcherReading | str:
        try:
            metrics, ready = await asyncio.gather(self._get(f"{url}/metrics"), self._get(f"{url}/readyz"))
            return parse_metrics(metrics.decode(errors="replace"), _reasons(ready))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return str(error) or "no answer in time"
        except ValueError as error:
            return f"what it answers is no exposition of metrics: {error}"
        except ServiceError as error:
            return str(error)

    async def _get(self, url: str) -> bytes:
        async with self._session.get(
            url, headers=self._headers, timeout=aiohttp.ClientTimeout(total=_ANSWER_S)
        ) as response:
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise ServiceError("it asks for a token: give --http-token, or NARROWS_HTTP_TOKEN")
            return await response.read()


def _reasons(body: bytes) -> tuple[str, ...]:
    """The reasons in an answer of ``/readyz``: ``{"ready": …, "reasons": [...]}``."""
    try:
        found = json.loads(body)["reasons"]
        return tuple(str(each) for each in found)
    except (ValueError, KeyError, TypeError):
        return ()
