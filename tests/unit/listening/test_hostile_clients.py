"""Every port under clients that send half a request, odd bytes, or never take their answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge
from structlog.testing import capture_logs

from edge_client.exposition import served
from narrows.runtime.exposure import Exposure
from narrows.runtime.http import make_app, serve
from narrows.runtime.listening import HEADERS, Limits
from orchestrator.engine_proxy.gate import Allowed, Gate
from orchestrator.engine_proxy.server import Door
from orchestrator.engine_proxy.upstream import DockerSocket
from orchestrator.page.guard import Guard
from orchestrator.page.routes import make_page
from tests.unit.listening.test_metrics_port import TOKEN, Ill

FEW = Limits(connections=8, request_s=60.0, answer_s=60.0, idle_s=60.0)
QUICK = Limits(connections=64, request_s=0.3, answer_s=0.3, idle_s=60.0)
HALF = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: "
Port = Callable[[Limits], AbstractAsyncContextManager[str]]


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Gauge("narrows_streams", "Streams", registry=made).set(7)
    return made


class NoWatch:
    """A page that shows nothing."""

    def legends(self) -> list[object]:
        return []

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: object) -> object:
            return {}

        return answer


@asynccontextmanager
async def metrics_port(granted: Limits) -> AsyncIterator[str]:
    async with serve(make_app(Exposure(registry(), Ill(), TOKEN)), "127.0.0.1:0", granted) as address:
        yield address


@asynccontextmanager
async def page_port(granted: Limits) -> AsyncIterator[str]:
    page: Any = NoWatch()
    async with serve(make_page(page, Guard(TOKEN), page), "127.0.0.1:0", granted) as address:
        yield address


@asynccontextmanager
async def proxy_port(granted: Limits) -> AsyncIterator[str]:
    socket = DockerSocket("unix:///nowhere.sock")
    async with serve(Door(Gate(socket, Allowed("narrows", "triton"))).handle, "127.0.0.1:0", granted) as address:
        yield address
    await socket.close()


@asynccontextmanager
async def camera_port(granted: Limits) -> AsyncIterator[str]:
    with ExitStack() as stack:
        yield stack.enter_context(served(Exposure(registry(), Ill(), TOKEN), "127.0.0.1:0", granted))


PORTS = [metrics_port, page_port, proxy_port, camera_port]
every_port = pytest.mark.parametrize("port", PORTS, ids=[each.__name__ for each in PORTS])


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, number = address.rpartition(":")
    return await asyncio.open_connection(host, int(number))


async def ask(address: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to raw bytes."""
    reader, writer = await connect(address)
    writer.write(request)
    data = b""
    try:
        data = await reader.read()
    finally:
        writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def get(path: bytes, *headers: bytes, host: bytes = b"127.0.0.1") -> bytes:
    lines = [b"GET " + path + b" HTTP/1.1", b"Host: " + host, b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def form(content_type: bytes, body: bytes) -> bytes:
    head = b"POST /enter HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " + content_type
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@every_port
async def test_half_requests_of_one_client_do_not_silence_the_port(port: Port) -> None:
    async with port(FEW) as address:
        halves = [await connect(address) for _ in range(4 * FEW.connections)]
        for _, writer in halves:
            writer.write(HALF)
        status, _, _ = await ask(address, get(b"/metrics", f"Authorization: Bearer {TOKEN}".encode()))
        assert status in (200, 404)  # the page has no /metrics
        for _, writer in halves:
            writer.close()


@every_port
async def test_a_request_that_never_ends_is_ended(port: Port) -> None:
    async with port(QUICK) as address:
        for begun in (b"", b"GET", HALF, b"POST /enter HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ntok"):
            reader, writer = await connect(address)
            writer.write(begun)
            with suppress(ConnectionResetError):
                await reader.read()
            writer.close()


async def test_drops_of_a_request_do_not_prolong_it() -> None:
    async with metrics_port(QUICK) as address:
        reader, writer = await connect(address)
        ended = asyncio.ensure_future(reader.read())
        while not ended.done():
            writer.write(b"G")
            await asyncio.wait([ended], timeout=0.05)
        writer.close()


async def test_who_does_not_take_an_answer_loses_the_connection() -> None:
    async def much(_: web.BaseRequest) -> web.Response:
        return web.Response(body=bytes(64_000_000))

    async with serve(much, "127.0.0.1:0", QUICK) as address:
        reader, writer = await connect(address)
        writer.write(get(b"/"))
        await asyncio.sleep(4 * QUICK.answer_s + 1)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(64_000_000)
        writer.close()


async def test_a_slow_handler_is_waited_for() -> None:
    async def slow(_: web.BaseRequest) -> web.Response:
        await asyncio.sleep(QUICK.request_s * 4)
        return web.Response(text="done")

    async with serve(slow, "127.0.0.1:0", QUICK) as address:
        assert (await ask(address, get(b"/")))[2] == b"done"


FORM = {303, 400, 403, 404, 405, 415, 501}
PATH = {400, 403, 404}
FORM_TYPE = b"application/x-www-form-urlencoded"
BEARER = f"Authorization: Bearer {TOKEN}".encode()
ODD = {
    "a token of odd bytes": (get(b"/api/view", b"Authorization: Bearer \xff\xfe"), {401, 403, 404}),
    "metrics with a token of odd bytes": (get(b"/metrics", b"Authorization: Bearer \xff\xfe"), {401, 200}),
    "a cookie of odd bytes": (get(b"/api/view", b"Cookie: narrows_page=\xff\xfe"), {401, 403, 404}),
    "a host of odd bytes": (get(b"/api/view", host=b"127.0.0.1:\xc2\xb2"), {400, 401, 403, 404}),
    "a host of other odd bytes": (get(b"/api/view", host=b"\xff\x80"), {400, 401, 403, 404}),
    "a path of odd bytes": (get(b"/\xff\xfe", BEARER), PATH),
    "an escaped path of odd bytes": (get(b"/api/streams/%ff%fe/mask.png", BEARER), PATH),
    "a query of odd bytes": (get(b"/api/view?q=%ff&page=%D9%A1x", BEARER), {200, 400, 403, 404}),
    "a number without end": (get(b"/api/view?page=" + b"9" * 4000, BEARER), {200, 400, 403, 404}),
    "numbers without end": (
        get(b"/api/streams/a/frame?epoch=" + b"9" * 5000 + b"&sequence=1", BEARER),
        PATH,
    ),
    "a tag of odd bytes": (get(b"/enter", b'If-None-Match: "\xff, W/'), {200, 400, 401, 403, 404}),
    "a form of odd bytes": (form(FORM_TYPE, b"token=%ff\xff"), FORM),
    "a form without an alphabet": (
        form(FORM_TYPE + b"; charset=nope", b"token=a"),
        FORM,
    ),
    "a form in an odd alphabet": (
        form(FORM_TYPE + b"; charset=punycode", b"token=%ff"),
        FORM,
    ),
    "a form in parts that are none": (form(b"multipart/form-data; boundary=b", b"--b\r\nx"), FORM),
    "a form without a boundary": (form(b"multipart/form-data", b"--b\r\nx"), FORM),
    "a header without end": (get(b"/metrics", b"X: " + b"a" * 200_000), {400, 431}),
    "many headers": (get(b"/metrics", *(b"X-%d: a" % i for i in range(500))), {400, 431}),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    "an expectation": (get(b"/metrics", b"Expect: a miracle"), {200, 401, 403, 404, 417}),
}


@every_port
async def test_odd_bytes_are_the_clients_fault_and_every_answer_has_our_headers(
    port: Port, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with port(FEW) as address:
        with capture_logs() as said:
            for odd, (request, statuses) in ODD.items():
                status, headers, _ = await ask(address, request)
                assert status in statuses, (odd, status)
                assert HEADERS.keys() <= headers.keys(), odd
                assert headers["Server"] == "narrows", odd
    assert "exc_info" not in str(said)
    assert "Traceback" not in capfd.readouterr().err
    assert caplog.text == ""


async def test_a_fault_of_ours_is_said_with_its_place_and_not_to_the_client() -> None:
    async def broken(_: web.BaseRequest) -> web.Response:
        raise KeyError("a secret")

    with capture_logs() as said:
        async with serve(broken, "127.0.0.1:0", FEW) as address:
            status, headers, body = await ask(address, get(b"/x"))
    assert (status, body) == (500, b"500 Internal Server Error\n")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert [(each["event"], each["path"]) for each in said] == [("request_failed", "/x")]
