"""A call over HTTP/2, against a server that speaks frame by frame: what it sends, and what each answer comes to."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.inference import unary_call
from orchestrator.inference.unary_call import (
    MOST_MESSAGE_BYTES,
    CallFailed,
    ConnectionLost,
    UnaryMethod,
    Unreadable,
    _Connection,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
METHOD = "/pet.Shop/Ask"


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    body: bytes = b""

    def to_bytes(self) -> bytes:
        return struct.pack(">I", len(self.body))[1:] + struct.pack(">BBI", *self[:3]) + self.body


def message(payload: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(payload)) + payload


def answer(stream: int, payload: bytes) -> bytes:
    frames = (
        Frame(HEADERS, END_HEADERS, stream, b"\x88"),
        Frame(DATA, 0, stream, message(payload)),
        Frame(HEADERS, END_HEADERS | END_STREAM, stream, literal("grpc-status", "0")),
    )
    return b"".join(frame.to_bytes() for frame in frames)


def literal(name: str, value: str) -> bytes:
    return b"\x40" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def trailers(stream: int, block: bytes) -> bytes:
    return Frame(HEADERS, END_HEADERS | END_STREAM, stream, block).to_bytes()


class Peer:
    """What a client said on one connection, and a way to answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.seen: list[Frame] = []

    async def greeted(self) -> None:
        assert await self._reader.readexactly(len(PREFACE)) == PREFACE
        assert [(await self.frame()).kind for _ in range(2)] == [SETTINGS, WINDOW_UPDATE]
        self.say(Frame(SETTINGS, 0, 0).to_bytes())

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


@asynccontextmanager
async def calling(serve: Serve) -> AsyncIterator[UnaryMethod]:
    served = list[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.append(task)
        peer = Peer(reader, writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await peer.greeted()
            await serve(peer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    method = UnaryMethod(f"{host}:{port}", METHOD)
    try:
        yield method
    finally:
        method.close()
        server.close()
        await asyncio.gather(*served)


async def echoes(peer: Peer) -> None:
    while True:
        stream, asked = await peer.asked()
        peer.say(answer(stream, asked[::-1]))


async def test_calls_are_answered_each_with_its_own_message_in_whichever_order() -> None:
    async def late_first(peer: Peer) -> None:
        first = await peer.asked()
        second = await peer.asked()
        peer.say(answer(second[0], second[1] * 2) + answer(first[0], first[1] * 2))
        await echoes(peer)

    async with calling(late_first) as method:
        await asyncio.sleep(0)
        assert list(await asyncio.gather(method.call(b"a", 20), method.call(b"b", 20))) == [b"aa", b"bb"]
        assert await method.call(b"abc", 20) == b"cba"


async def test_what_is_sent_is_what_grpc_asks_of_a_client() -> None:
    seen = list[Frame]()

    async def looks(peer: Peer) -> None:
        while len(seen) < 3:
            seen.append(await peer.frame())
        peer.say(answer(1, b""))
        await echoes(peer)

    async with calling(looks) as method:
        assert await method.call(b"abc", 20) == b""
    ack, headers, data = sorted(seen, key=lambda frame: (frame.stream, frame.kind == DATA))
    assert ack == Frame(SETTINGS, ACK, 0)
    assert (headers.kind, headers.flags, headers.stream) == (HEADERS, END_HEADERS, 1)
    assert headers.body.startswith(b"\x83\x86\x00\x05:path\x0d/pet.Shop/Ask\x00\x0a:authority")
    assert headers.body.endswith(b"\x00\x02te\x08trailers\x00\x0ccontent-type\x10application/grpc")
    assert data == Frame(DATA, END_STREAM, 1, message(b"abc"))


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (literal("grpc-status", "5") + literal("grpc-message", "no%20such%20model"), (5, "no such model")),
        (b"\x20\x88" + literal("grpc-status", "14"), (14, "")),
        (b"\x5f\x10application/grpc" + literal("grpc-status", "3"), (3, "")),
        (literal("grpc-status", "0"), None),
        (literal("grpc-message", "no status"), None),
        (b"\x40\x8agrpc-statu" + b"\x015", None),
        (b"\x40\x0bgrpc-status\x09", None),
        (b"\x7f\xff\xff\xff\xff", None),
    ],
    ids=["named", "size of table", "indexed name", "ok without a message", "none", "huffman", "cut off", "large place"],
)
async def test_a_call_without_a_message_fails_with_its_status_or_is_unreadable(
    block: bytes, found: tuple[int, str] | None
) -> None:
    async def refuses(peer: Peer) -> None:
        stream, _ = await peer.asked()
        peer.say(trailers(stream, block))
        await echoes(peer)

    async with calling(refuses) as method:
        ended = await outcome(method.call(b"x", 20))
        if found is None:
            assert type(ended) is Unreadable
        else:
            assert isinstance(ended, CallFailed)
            assert (ended.status, ended.message) == found
        assert await method.call(b"on", 20) == b"no"


async def outcome(call: Awaitable[bytes]) -> bytes | Exception:
    try:
        return await call
    except (CallFailed, Unreadable, ConnectionLost, TimeoutError) as error:
        return error


@pytest.mark.parametrize("payload", [b"\x01\0\0\0\x01x", b"\0\0\0\0\x02x", b"\0\0\0", b""])
async def test_a_message_that_is_compressed_or_not_whole_is_unreadable(payload: bytes) -> None:
    async def half(peer: Peer) -> None:
        stream, _ = await peer.asked()
        peer.say(Frame(DATA, END_STREAM, stream, payload).to_bytes())
        await echoes(peer)

    async with calling(half) as method:
        assert type(await outcome(method.call(b"x", 20))) is Unreadable


async def test_padding_is_no_part_of_a_message() -> None:
    async def pads(peer: Peer) -> None:
        stream, asked = await peer.asked()
        peer.say(Frame(DATA, END_STREAM | 8, stream, b"\x02" + message(asked) + b"\0\0").to_bytes())
        await echoes(peer)

    async with calling(pads) as method:
        assert await method.call(b"abc", 20) == b"abc"


async def test_a_connection_that_ends_fails_what_is_asked_and_the_next_call_makes_another() -> None:
    connections = list[Peer]()

    async def leaves_once(peer: Peer) -> None:
        connections.append(peer)
        if len(connections) == 1:
            await peer.asked()
            await peer.asked()
            return
        await echoes(peer)

    async with calling(leaves_once) as method:
        found = await asyncio.gather(method.call(b"a", 20), method.call(b"b", 20), return_exceptions=True)
        assert [type(each) for each in found] == [ConnectionLost] * 2
        assert await method.call(b"ab", 20) == b"ba"


async def test_a_server_that_leaves_answers_what_it_took_and_is_asked_no_more_on_that_connection() -> None:
    connections = list[Peer]()

    async def goes_away(peer: Peer) -> None:
        connections.append(peer)
        if len(connections) > 1:
            await echoes(peer)
        first, _ = await peer.asked()
        await peer.asked()
        peer.say(Frame(GOAWAY, 0, 0, struct.pack(">II", first, 0)).to_bytes() + answer(first, b"taken"))
        with pytest.raises(asyncio.IncompleteReadError):  # it is closed once it has its answer
            await peer.until(DATA)

    async with calling(goes_away) as method:
        taken, left = await asyncio.gather(method.call(b"a", 20), method.call(b"b", 20), return_exceptions=True)
        assert (taken, type(left)) == (b"taken", ConnectionLost)
        assert await method.call(b"ab", 20) == b"ba"
    assert len(connections) == 2


async def test_a_call_that_is_given_up_is_cancelled_at_the_server_and_others_go_on() -> None:
    ends = list[tuple[int, int]]()

    async def silent_once(peer: Peer) -> None:
        given_up, _ = await peer.asked()
        while True:
            frame = await peer.frame()
            if frame.kind == RST_STREAM:
                ends.append((given_up, frame.stream))
                peer.say(answer(given_up, b"too late"))
            elif frame.kind == DATA:
                peer.say(answer(frame.stream, b"in time"))

    async with calling(silent_once) as method:
        assert isinstance(await outcome(method.call(b"x", 0.05)), TimeoutError)
        assert await method.call(b"on", 20) == b"in time"
    assert ends == [(1, 1)]


async def test_a_stream_that_the_server_resets_may_be_under_way_still() -> None:
    async def resets(peer: Peer) -> None:
        stream, _ = await peer.asked()
        peer.say(Frame(RST_STREAM, 0, stream, struct.pack(">I", 2)).to_bytes())
        await echoes(peer)

    async with calling(resets) as method:
        with pytest.raises(ConnectionLost):
            await method.call(b"x", 20)
        assert await method.call(b"on", 20) == b"no"


async def test_a_ping_is_answered_with_what_it_says() -> None:
    async def pings(peer: Peer) -> None:
        peer.say(Frame(PING, 0, 0, b"12345678").to_bytes())
        assert await peer.until(PING) == Frame(PING, ACK, 0, b"12345678")
        peer.say(answer(1, b"pong"))
        await echoes(peer)

    async with calling(pings) as method:
        assert await method.call(b"x", 20) == b"pong"


async def test_what_is_large_or_more_than_the_server_has_room_for_is_not_sent() -> None:
    rooms = asyncio.Queue[int]()

    async def frugal(peer: Peer) -> None:
        for _ in range(8):
            stream, _ = await peer.asked()
            peer.say(answer(stream, b"taken"))
        peer.say(Frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", await rooms.get())).to_bytes())
        peer.say(Frame(PING, 0, 0, bytes(8)).to_bytes())
        await peer.until(PING)
        rooms.task_done()
        await echoes(peer)

    request = bytes(65_535 // 8 - 5)
    async with calling(frugal) as method:
        for _ in range(8):
            assert await method.call(request, 20) == b"taken"
        with pytest.raises(Unreadable):
            await method.call(request, 20)
        rooms.put_nowait(65_535)
        await rooms.join()
        assert await method.call(request, 20) == request
        with pytest.raises(Unreadable):
            await method.call(bytes(MOST_MESSAGE_BYTES + 1), 20)


async def test_nobody_at_an_address_is_said_as_that() -> None:
    for address in ("127.0.0.1:9", "no address"):
        with pytest.raises(ConnectionLost):
            await UnaryMethod(address, METHOD).call(b"x", 20)


async def test_what_the_server_sends_is_given_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unary_call, "_WINDOW", 70_000)
    peers = list[Peer]()

    async def sends_much(peer: Peer) -> None:
        peers.append(peer)
        while True:
            stream, _ = await peer.asked()
            peer.say(answer(stream, bytes(12_000)))

    async with calling(sends_much) as method:
        for _ in range(4):
            assert await method.call(b"x", 20) == bytes(12_000)
    grown = [struct.unpack(">I", frame.body) for frame in peers[0].seen if frame.kind == WINDOW_UPDATE]
    assert grown == [(70_000 - 65_535,), (3 * 12_005,)]


class Silent(asyncio.Transport):
    """Where bytes of any kind come from, and whether the connection was closed over them."""

    closed = False

    def write(self, data: object) -> None:
        """Nobody reads it."""

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_whatever_the_bytes_a_connection_takes_them_or_closes(parts: list[bytes]) -> None:
    connection = _Connection(METHOD, "here:1")
    connection.connection_made(Silent())
    for part in parts:
        connection.data_received(part)


@given(st.data())
def test_frames_mean_the_same_however_they_are_cut(data: st.DataObject) -> None:
    said = answer(1, b"x" * 300) + Frame(PING, 0, 0, bytes(8)).to_bytes() + answer(3, b"y")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=8)))

    async def both() -> list[bytes]:
        connection = _Connection(METHOD, "here:1")
        connection.connection_made(Silent())
        asked = [asyncio.create_task(connection.call(b"q", 20)) for _ in range(2)]
        await asyncio.sleep(0)
        for begin, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
            connection.data_received(said[begin:end])
        return list(await asyncio.gather(*asked))

    assert asyncio.run(both()) == [b"x" * 300, b"y"]


@pytest.mark.parametrize("length", [1, 126, 127, 128, 254, 255, 300])
def test_an_address_of_any_length_is_written_as_it_can_be_read(length: int) -> None:
    block = unary_call._header_block(METHOD, "h" * length)
    found = unary_call._literals(block)
    assert found is not None
    assert found[b":authority"] == b"h" * length
    assert found[b":path"] == METHOD.encode()
