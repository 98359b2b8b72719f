"""Asking dispatchers how they are."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import aiohttp

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.readiness import Readiness
from narrows.runtime.http import bearer_headers
from orchestrator.page.behind import Behind
from orchestrator.page.reading import DispatcherReading, Exposed, parse_metrics

_ANSWER_S = 0.9
_MOST_BYTES = 4 << 20
"""A dispatcher's exposition has below 100 KB, at 64 groups (`make bench-scrape`)."""


class Scraper:
    """Reads ``/metrics`` and ``/readyz`` of every dispatcher at once."""

    def __init__(self, session: aiohttp.ClientSession, dispatchers: Behind, token: str | None = None) -> None:
        self._session = session
        self._headers = bearer_headers(token)
        self._dispatchers = dispatchers

    async def round(self) -> tuple[dict[str, DispatcherReading], dict[str, str]]:
        """Readings by address, those of several processes by address and number, and what is wrong with the others."""
        urls, nameless = await self._dispatchers.urls()
        answers = await asyncio.gather(*(self._one(url) for url in urls))
        readings: dict[str, DispatcherReading] = {}
        away = dict(nameless)
        for url, answer in zip(urls, answers, strict=True):
            if isinstance(answer, str):
                away[url] = answer
                continue
            readings |= {_place(url, process): reading for process, reading in answer.readings.items()}
            away |= {_place(url, process): "its process is down, or slow" for process in answer.down}
        return readings, away

    async def _one(self, url: str) -> Exposed | str:
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
            data = b""
            async for chunk in response.content.iter_chunked(1 << 16):
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise ServiceError(f"it answers {url} with more than {_MOST_BYTES} bytes: is it a dispatcher?")
            return data


def _place(url: str, process: str) -> str:
    return f"{url}, process {process}" if process else url


def _reasons(body: bytes) -> tuple[str, ...]:
    """The reasons in an answer of ``/readyz``; none in one that cannot be read."""
    try:
        return Readiness.parse(body).reasons
    except RecordError:
        return ()
