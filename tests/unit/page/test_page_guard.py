"""Claims about who is let in, by a real server and a real client, without Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from narrows.contract.errors import ServiceError
from narrows.contract.wire import FrameIdentity
from narrows.runtime.http import serve
from orchestrator.page.behind import Behind
from orchestrator.page.filmed import Filmed
from orchestrator.page.guard import Guard
from orchestrator.page.options import PageOptions
from orchestrator.page.prompting import Prompting
from orchestrator.page.redis_view import RedisView
from orchestrator.page.routes import make_page
from orchestrator.page.scrape import Scraper
from orchestrator.page.watch import Watch

TOKEN = "a token that is long enough"
Serve = Callable[[str | None], AbstractAsyncContextManager[tuple[aiohttp.ClientSession, str]]]


@asynccontextmanager
async def served(
    token: str | None, operator_token: str | None = None
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A page over a Redis that is not there."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        view, prompting = RedisView("redis://127.0.0.1:1/0"), Prompting("redis://127.0.0.1:1/0")
        watch = Watch(Scraper(session, Behind([])), view, [], None)
        async with serve(make_page(watch, Guard(token, operator_token), prompting), "127.0.0.1:0") as address:
            yield session, f"http://{address}"
        watch.close()
        prompting.close()
        view.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:8090", "192.0.2.7:80", "[::]:8090", "narrows.example:80"])
def test_an_address_beyond_loopback_is_not_served_without_a_token(listen: str) -> None:
    with pytest.raises(ServiceError, match="NARROWS_PAGE_TOKEN"):
        PageOptions("redis://h", (), listen).check()
    PageOptions("redis://h", (), listen, token=TOKEN).check()


@pytest.mark.parametrize("listen", ["127.0.0.1:8090", "[::1]:0", "localhost:8090", "127.8.8.8:1"])
def test_loopback_needs_no_token(listen: str) -> None:
    PageOptions("redis://h", ("http://127.0.0.1:9464",), listen).check()


def test_a_token_that_can_be_guessed_and_an_address_that_is_none_are_refused() -> None:
    with pytest.raises(ServiceError, match="can be guessed"):
        PageOptions("redis://h", (), token="12345").check()
    with pytest.raises(ServiceError, match="http://HOST:PORT"):
        PageOptions("redis://h", ("127.0.0.1:9464",)).check()


async def test_strangers_see_nothing_but_the_door() -> None:
    async with served(TOKEN) as (session, url):
        for path in ("/api/view", "/static/main.js", "/api/streams/cam-1/mask.png", "/healthz"):
            async with session.get(url + path) as response:
                assert response.status == 401, path
        async with session.get(url) as response:
            assert response.url.path == "/enter"
        async with session.get(f"{url}/api/view", headers={"Authorization": "Bearer wrong"}) as response:
            assert response.status == 401
        async with session.get(f"{url}/api/view", cookies={"narrows_page": TOKEN}) as response:
            assert response.status == 401  # the cookie is no copy of the token


async def test_the_token_opens_by_header_and_by_form() -> None:
    async with served(TOKEN) as (session, url):
        async with session.get(f"{url}/static/main.js", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert response.status == 200
        async with session.post(f"{url}/enter", data={"token": "wrong"}) as response:
            assert response.history[0].headers["Location"] == "/enter#wrong"
        async with session.post(f"{url}/enter", data={"token": TOKEN}) as response:
            assert response.url.path == "/"
            (given,) = response.history[0].headers.getall("Set-Cookie")
        assert "HttpOnly" in given
        assert "SameSite=Strict" in given
        assert TOKEN not in given
        async with session.get(f"{url}/static/main.js") as response:
            assert response.status == 200


async def test_on_loopback_another_name_is_turned_away() -> None:
    async with served(None) as (session, url):
        for host, status in (
            ("evil.example", 403),
            ("127.0.0.1.evil.example:80", 403),
            ("127.0.0.1:x", 403),
            ("localhost:8090", 200),
            ("[::1]", 200),
            ("127.0.0.1", 200),
        ):
            async with session.get(f"{url}/healthz", headers={"Host": host}) as response:
                assert response.status == status, host


async def test_every_answer_forbids_inline_scripts_and_foreign_content() -> None:
    async with served(None) as (session, url):
        for path in ("/", "/static/main.js", "/api/view", "/nowhere", "/api/streams/a/frame"):
            async with session.get(url + path) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
        async with session.get(url) as response:
            html = await response.text()
    assert "<style" not in html
    assert " style=" not in html
    assert html.count("<script") == html.count('<script type="module" src=') == 1
    assert "//" not in html.replace("<!doctype html>", "")  # nothing from elsewhere


async def test_what_was_not_changed_is_not_sent_again() -> None:
    async with served(None) as (session, url):
        async with session.get(f"{url}/static/page.css") as response:
            tag = response.headers["ETag"]
        async with session.get(f"{url}/static/page.css", headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize("path", ["..%2f..%2fetc/mask.png", "-x/mask.png", "a%20b/frame", "cam-1/mask.png?at=x"])
async def test_a_stream_or_entry_that_cannot_be_is_refused(path: str) -> None:
    async with served(None) as (session, url), session.get(f"{url}/api/streams/{path}") as response:
        assert response.status in {400, 404}


async def test_redis_away_is_shown_and_not_a_failure_of_the_page() -> None:
    async with served(None) as (session, url):
        async with session.get(f"{url}/api/streams/cam-1/mask.png") as response:
            assert response.status == 503
            assert "does not answer" in await response.text()
        async with session.get(f"{url}/api/view") as response:
            assert response.status == 200


def journal_line(sequence: int, name: str) -> str:
    return f'{{"epoch":7,"sequence":{sequence},"name":"{name}"}}\n'


def test_pictures_are_those_that_the_journal_names_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "cam-1" / "reel").mkdir(parents=True)
    (tmp_path / "cam-1" / "reel" / "one.jpg").write_bytes(b"picture")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    journal = tmp_path / "cam-1" / "journal.jsonl"
    journal.write_text(journal_line(0, "one") + journal_line(1, "../../secret") + journal_line(2, "gone") + '{"epo')
    filmed = Filmed(tmp_path)
    assert filmed.picture("cam-1", FrameIdentity(7, 0)) == (b"picture", "image/jpeg")
    for sequence in (1, 2, 3):
        assert filmed.picture("cam-1", FrameIdentity(7, sequence)) is None
    assert filmed.picture("cam-2", FrameIdentity(7, 0)) is None
    with journal.open("a") as file:
        file.write('ch":7,"sequence":3,"name":"one"}\n{"end":true}\n')
    assert filmed.picture("cam-1", FrameIdentity(7, 3)) is not None  # half a line waited for its end


OPERATOR = "a token that operators alone know"
PROMPTS = "/api/streams/cam-1/prompts"
POINT = {"points": [[0.5, 0.5]], "if_version": 0}


async def test_a_viewer_may_not_point_at_things_nor_take_a_prompt_away() -> None:
    async with served(TOKEN, OPERATOR) as (session, url):
        await session.post(f"{url}/enter", data={"token": TOKEN})
        async with session.get(f"{url}/api/view") as response:
            assert (await response.json())["prompting"] == {"operators": True, "operator": False}
        for headers in ({}, {"X-CSRF-Token": Guard(TOKEN, OPERATOR).csrf}, {"Authorization": f"Bearer {TOKEN}"}):
            async with session.post(url + PROMPTS, json=POINT, headers=headers) as response:
                assert response.status == 403
                assert "Only an operator may point at things" in await response.text()
            async with session.delete(f"{url}{PROMPTS}/1", headers=headers) as response:
                assert response.status == 403


async def test_without_an_operators_token_nobody_may_point_at_things() -> None:
    async with served(None) as (session, url), session.post(url + PROMPTS, json=POINT) as response:
        assert response.status == 403
        assert "--operator-token" in await response.text()


async def test_an_operators_browser_changes_nothing_for_another_site() -> None:
    async with served(TOKEN, OPERATOR) as (session, url):
        await session.post(f"{url}/enter", data={"token": OPERATOR})
        async with session.get(f"{url}/api/view") as response:
            assert (await response.json())["prompting"] == {"operators": True, "operator": True}
        csrf = Guard(TOKEN, OPERATOR).csrf
        for headers in ({}, {"X-CSRF-Token": "x" * len(csrf)}):
            async with session.post(url + PROMPTS, json=POINT, headers=headers) as response:
                assert response.status == 403
                assert "X-CSRF-Token" in await response.text()
            async with session.delete(f"{url}{PROMPTS}/1", headers=headers) as response:
                assert response.status == 403
        async with session.post(url + PROMPTS, data="points=1", headers={"X-CSRF-Token": csrf}) as response:
            assert response.status == 415
        async with session.post(url + PROMPTS, json=POINT, headers={"X-CSRF-Token": csrf}) as response:
            assert response.status == 503  # let through: Redis is away here
            assert "does not answer" in await response.text()


async def test_the_operators_token_opens_the_page_by_header_too() -> None:
    async with served(TOKEN, OPERATOR) as (session, url):
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        async with session.get(f"{url}/static/main.js", headers=headers) as response:
            assert response.status == 200
        async with session.post(url + PROMPTS, json=POINT, headers=headers) as response:
            assert response.status == 503
        async with session.post(
            url + PROMPTS, data=b"{", headers=headers | {"Content-Type": "application/json"}
        ) as response:
            assert response.status == 400


def test_an_operators_token_that_can_be_guessed_or_that_visitors_know_is_refused() -> None:
    with pytest.raises(ServiceError, match=r"NARROWS_PAGE_OPERATOR_TOKEN has 5 .* can be guessed"):
        PageOptions("redis://h", (), operator_token="12345").check()
    with pytest.raises(ServiceError, match="is the visitors' token"):
        PageOptions("redis://h", (), token=TOKEN, operator_token=TOKEN).check()


async def test_a_viewer_asks_for_no_still_and_hears_of_none() -> None:
    async with served(TOKEN, OPERATOR) as (session, url):
        await session.post(f"{url}/enter", data={"token": TOKEN})
        still = f"{url}/api/streams/cam-1/still"
        for method, path in (("POST", still), ("GET", f"{still}?asked=1"), ("GET", f"{still}.jpg?asked=1")):
            async with session.request(method, path) as response:
                assert response.status == 403, path
                assert "Only an operator may" in await response.text()
