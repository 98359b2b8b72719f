"""Metrics are shown to this machine, or to who brings the token; probes learn that a program lives and is ready."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from narrows.runtime.exposure import Exposure
from narrows.runtime.http import bearer_headers, make_app, serve
from orchestrator.page.behind import Behind
from orchestrator.page.scrape import Scraper

TOKEN = "0123456789abcdef"


class Ill:
    """A program that lives and is not ready."""

    def alive(self) -> dict[str, object]:
        return {"name": "host-17"}

    def reasons_not_ready(self) -> list[str]:
        return ["Triton at 10.0.0.7 is away"]


@pytest.fixture
async def address() -> AsyncIterator[str]:
    registry = CollectorRegistry()
    Gauge("narrows_streams", "Streams", registry=registry).set(7)
    async with serve(make_app(Exposure(registry, Ill(), TOKEN)), "127.0.0.1:0") as bound:
        yield f"http://{bound}"


async def get(address: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(address + path, headers=headers) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer_headers("0123456789abcdeX"),
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        bearer_headers(""),
    ],
)
async def test_a_stranger_learns_that_it_lives_and_is_not_ready(address: str, headers: dict[str, str]) -> None:
    status, body = await get(address, "/metrics", headers)
    assert (status, "narrows_streams" in body) == (401, False)
    assert await get(address, "/healthz", headers) == (200, "{}")
    status, body = await get(address, "/readyz", headers)
    assert (status, json.loads(body)) == (503, {"ready": False, "reasons": []})


async def test_who_brings_the_token_learns_all(address: str) -> None:
    headers = bearer_headers(TOKEN)
    assert "narrows_streams 7.0" in (await get(address, "/metrics", headers))[1]
    assert "host-17" in (await get(address, "/healthz", headers))[1]
    assert "10.0.0.7" in (await get(address, "/readyz", headers))[1]


async def test_the_page_brings_it_and_says_where_it_is_missing(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        _, without = await Scraper(session, Behind([address])).round()
        _, beside = await Scraper(session, Behind([address]), TOKEN).round()
    assert "--http-token" in without[address]
    assert "--http-token" not in beside[address]  # it was let in, and found no dispatcher's metrics
