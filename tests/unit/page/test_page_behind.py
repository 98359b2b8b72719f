"""Claims about a name behind which there are several dispatchers, by real servers on two addresses of loopback."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from narrows.runtime.http import serve
from orchestrator.discovery.address import Address
from orchestrator.page.behind import REMEMBERED_S, Behind
from orchestrator.page.scrape import Scraper


class Names:
    """A name server whose answers the test writes."""

    def __init__(self, *places: str) -> None:
        self.places = set(places)

    async def __call__(self, name: Address) -> frozenset[str]:
        if not self.places:
            raise OSError(f"{name.host} is unknown")
        return frozenset(self.places)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def dispatcher(streams: int) -> web.Application:
    """What the page asks a dispatcher."""

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=f"# TYPE narrows_active_streams gauge\nnarrows_active_streams {streams}\n")

    async def ready(_request: web.Request) -> web.Response:
        return web.json_response({"ready": True, "reasons": []})

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/readyz", ready)
    return application


async def test_every_dispatcher_behind_a_name_is_read_and_one_that_dies_is_named() -> None:
    clock = Clock()
    async with serve(dispatcher(2), "127.0.0.1:0") as one, aiohttp.ClientSession() as session:
        port = one.rpartition(":")[2]
        names = Names(one, f"127.0.0.2:{port}")
        scraper = Scraper(session, Behind([f"http://dispatcher:{port}"], names, clock))
        async with serve(dispatcher(3), f"127.0.0.2:{port}") as other:
            readings, away = await scraper.round()
            assert {url: each.streams for url, each in readings.items()} == {f"http://{one}": 2, f"http://{other}": 3}
            assert away == {}
        names.places.discard(other)
        readings, away = await scraper.round()
        assert (set(readings), set(away)) == ({f"http://{one}"}, {f"http://{other}"})
        clock.now_s = REMEMBERED_S + 1
        readings, away = await scraper.round()
        assert (set(readings), away) == ({f"http://{one}"}, {})


async def test_a_name_that_nobody_has_is_named_itself() -> None:
    async with aiohttp.ClientSession() as session:
        readings, away = await Scraper(session, Behind(["http://dispatcher:9464/"], Names())).round()
    assert readings == {}
    assert away == {"http://dispatcher:9464": "no dispatcher has this name: dispatcher is unknown"}


@pytest.mark.parametrize("url", ["http://192.0.2.1:9464", "http://[2001:db8::1]:9464", "https://narrows.example"])
async def test_a_number_and_a_name_with_a_certificate_are_asked_as_they_are(url: str) -> None:
    found, nameless = await Behind([url], Names("192.0.2.9:1")).urls()
    assert (found, nameless) == ([url], {})
