"""A server of HTTP/2 that a test has say what it likes, frame by frame, and a method that calls it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from orchestrator.inference.unary_call import CallFailed, CallLost, NotAsked, UnaryMethod, Unreadable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
METHOD = "/pet.Shop/Ask"
OK_HEAD = b"\x88"  # :status 200, by its place in the static table


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    body: bytes = b""

    def to_bytes(self) -> bytes:
        return struct.pack(">I", len(self.body))[1:] + struct.pack(">BBI", *self[:3]) + self.body


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def settings(**values: int) -> bytes:
    """A frame of settings: ``s4=9`` is the fourth."""
    body = b"".join(struct.pack(">HI", int(name[1:]), value) for name, value in values.items())
    return Frame(SETTINGS, 0, 0, body).to_bytes()


def message(payload: bytes) -> bytes:
    return b"\0" + u32(len(payload)) + payload


def literal(name: str, value: str) -> bytes:
    return b"\x40" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def head(stream: int, block: bytes = OK_HEAD) -> bytes:
    return Frame(HEADERS, END_HEADERS, stream, block).to_bytes()


def data(stream: int, body: bytes, flags: int = 0) -> bytes:
    return Frame(DATA, flags, stream, body).to_bytes()


def trailers(stream: int, block: bytes) -> bytes:
    return Frame(HEADERS, END_HEADERS | END_STREAM, stream, block).to_bytes()


def answer(stream: int, payload: bytes) -> bytes:
    return head(stream) + data(stream, message(payload)) + trailers(stream, literal("grpc-status", "0"))


class Peer:
    """What a client said on one connection, and a way to answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.seen: list[Frame] = []

    async def greeted(self, greeting: bytes) -> None:
        assert await self._reader.readexactly(len(PREFACE)) == PREFACE
        assert [(await self.frame()).kind for _ in range(2)] == [SETTINGS, WINDOW_UPDATE]
        self.say(greeting)

    async def frame(self) -> Frame:
        head = await self._reader.readexactly(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        frame = Frame(kind, flags, stream, await self._reader.readexactly(int.from_bytes(head[:3], "big")))
        self.seen.append(frame)
        return frame

    async def until(self, kind: int) -> Frame:
        while (frame := await self.frame()).kind != kind:
            continue
        return frame

    async def asked(self) -> tuple[int, bytes]:
        """The stream of the next call, and its message."""
        frame = await self.until(DATA)
        assert frame.flags == END_STREAM
        return frame.stream, frame.body[5:]

    def say(self, data: bytes) -> None:
        self.writer.write(data)


Serve = Callable[[Peer], Awaitable[None]]


class Server:
    """Serves each connection as it is told; ``peers`` are those that there were."""

    def __init__(self, serve: Serve, greeting: bytes) -> None:
        self._serve, self._greeting = serve, greeting
        self.peers: list[Peer] = []
        self._served: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no connections any more; those that there are end by themselves."""
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._served)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.append(task)
        peer = Peer(reader, writer)
        self.peers.append(peer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await peer.greeted(self._greeting)
            await self._serve(peer)
        writer.close()


@asynccontextmanager
async def serving(serve: Serve, greeting: bytes = settings()) -> AsyncIterator[tuple[UnaryMethod, Server]]:
    server = Server(serve, greeting)
    await server.start()
    method = UnaryMethod(f"127.0.0.1:{server.port}", METHOD)
    try:
        yield method, server
    finally:
        method.close()
        await server.stop()


@asynccontextmanager
async def calling(serve: Serve, greeting: bytes = settings()) -> AsyncIterator[UnaryMethod]:
    async with serving(serve, greeting) as (method, _):
        yield method


async def echoes(peer: Peer) -> None:
    while True:
        stream, asked = await peer.asked()
        peer.say(answer(stream, asked[::-1]))


def first_then_echoes(first: Serve) -> Serve:
    """The first connection is served so; those behind it have their calls answered."""
    connections = list[Peer]()

    async def serve(peer: Peer) -> None:
        connections.append(peer)
        await (first if len(connections) == 1 else echoes)(peer)

    return serve


async def outcome(call: Awaitable[bytes]) -> bytes | Exception:
    try:
        return await call
    except (CallFailed, Unreadable, NotAsked, CallLost, TimeoutError) as error:
        return error


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.001)
