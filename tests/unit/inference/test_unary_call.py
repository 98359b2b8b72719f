"""A call over HTTP/2, against a server that speaks frame by frame: what it sends, and what each answer comes to."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.inference import unary_connection
from orchestrator.inference.header_blocks import GRPC_STATUS, STATUS, request_block, status_fields
from orchestrator.inference.unary_call import (
    MOST_MESSAGE_BYTES,
    CallFailed,
    CallLost,
    NotAsked,
    UnaryMethod,
    Unreadable,
)
from orchestrator.inference.unary_connection import UnaryConnection
from tests.unit.inference.http2_peer import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    METHOD,
    OK_HEAD,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Peer,
    answer,
    calling,
    data,
    echoes,
    head,
    literal,
    message,
    outcome,
    trailers,
)


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
        (b"\x5f\x10application/grpc" + literal("grpc-status", "3"), (3, "")),
        (literal("grpc-status", "0"), None),
        (literal("grpc-message", "no status"), None),
        (b"\x40\x8agrpc-statu" + b"\x015", None),
        (b"\x40\x0bgrpc-status\x09", None),
        (b"\x7f\xff\xff\xff\xff", None),
    ],
    ids=["named", "indexed name", "ok without a message", "none", "huffman", "cut off", "large place"],
)
async def test_a_call_without_a_message_fails_with_its_status_or_is_unreadable(
    block: bytes, found: tuple[int, str] | None
) -> None:
    async def refuses(peer: Peer) -> None:
        stream, _ = await peer.asked()
        peer.say(trailers(stream, OK_HEAD + block))
        await echoes(peer)

    async with calling(refuses) as method:
        ended = await outcome(method.call(b"x", 20))
        if found is None:
            assert type(ended) is Unreadable
        else:
            assert isinstance(ended, CallFailed)
            assert (ended.status, ended.message) == found
        assert await method.call(b"on", 20) == b"no"


@pytest.mark.parametrize("payload", [b"\x01\0\0\0\x01x", b"\0\0\0\0\x02x", b"\0\0\0", b""])
async def test_a_message_that_is_compressed_or_not_whole_is_unreadable(payload: bytes) -> None:
    async def half(peer: Peer) -> None:
        stream, _ = await peer.asked()
        peer.say(head(stream) + data(stream, payload) + trailers(stream, literal("grpc-status", "0")))
        await echoes(peer)

    async with calling(half) as method:
        assert type(await outcome(method.call(b"x", 20))) is Unreadable


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
        assert [type(each) for each in found] == [CallLost] * 2
        assert await method.call(b"ab", 20) == b"ba"


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
        given_up = asyncio.create_task(method.call(b"x", 20))
        other = asyncio.create_task(method.call(b"on", 20))
        assert await other == b"in time"
        given_up.cancel()
        await asyncio.wait([given_up])
        assert await method.call(b"on", 20) == b"in time"
    assert ends == [(1, 1)]


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
        with pytest.raises(NotAsked):
            await method.call(request, 20)
        rooms.put_nowait(65_535)
        await rooms.join()
        assert await method.call(request, 20) == request
        with pytest.raises(NotAsked):
            await method.call(bytes(MOST_MESSAGE_BYTES + 1), 20)


async def test_nobody_at_an_address_is_said_as_that() -> None:
    for address in ("127.0.0.1:9", "no address"):
        with pytest.raises(CallLost):
            await UnaryMethod(address, METHOD).call(b"x", 20)


async def test_what_the_server_sends_is_given_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unary_connection, "_WINDOW", 70_000)
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
    """Where bytes of any kind come from, and whether the connection was ended over them."""

    ended = False

    def write(self, data: object) -> None:
        """Nobody reads it."""

    def is_closing(self) -> bool:
        return self.ended

    def abort(self) -> None:
        self.ended = True


def connected() -> UnaryConnection:
    connection = UnaryConnection(request_block(METHOD, "here:1"), lambda _: None)
    connection.connection_made(Silent())
    return connection


GREETING = Frame(SETTINGS, 0, 0).to_bytes()
FRAMES = st.builds(
    Frame, st.integers(0, 10), st.sampled_from([0, 1, 4, 5, 8, 32, 255]), st.integers(0, 3), st.binary(max_size=12)
)


@given(st.lists(st.binary(max_size=60) | FRAMES.map(Frame.to_bytes), max_size=12))
def test_whatever_the_bytes_a_connection_takes_them_or_ends(parts: list[bytes]) -> None:
    connection = connected()
    connection.data_received(GREETING)
    for part in parts:
        connection.data_received(part)


@given(st.data())
def test_frames_mean_the_same_however_they_are_cut(drawn: st.DataObject) -> None:
    said = GREETING + answer(1, b"x" * 300) + Frame(PING, 0, 0, bytes(8)).to_bytes() + answer(3, b"y")
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(said)), max_size=8)))

    async def both() -> list[bytes]:
        connection = connected()
        asked = [asyncio.create_task(connection.call(b"q", 20)) for _ in range(2)]
        await asyncio.sleep(0)
        for begin, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
            connection.data_received(said[begin:end])
        return list(await asyncio.gather(*asked))

    assert asyncio.run(both()) == [b"x" * 300, b"y"]


@given(st.lists(FRAMES | st.just(Frame(HEADERS, END_HEADERS, 1, OK_HEAD)), max_size=12))
def test_a_call_ends_as_one_of_its_errors_or_with_what_the_server_said(frames: list[Frame]) -> None:
    async def one() -> bytes | Exception:
        connection = connected()
        asked = asyncio.create_task(outcome(connection.call(b"q", 20)))
        await asyncio.sleep(0)
        connection.data_received(GREETING + b"".join(frame.to_bytes() for frame in frames))
        connection.connection_lost(None)
        return await asked

    found = asyncio.run(one())
    if isinstance(found, bytes):
        assert found in b"".join(frame.body for frame in frames)
    else:
        assert isinstance(found, (CallFailed, Unreadable, CallLost))


@pytest.mark.parametrize("length", [1, 126, 127, 128, 254, 255, 300])
def test_an_address_of_any_length_is_written_as_it_can_be_read(length: int) -> None:
    block = request_block(METHOD, "h" * length)
    at = block.index(b":authority") + len(b":authority")
    size, first = block[at], at + 1
    if size == 127:
        shifts = 0
        while True:
            size += (block[first] & 127) << shifts
            shifts, first = shifts + 7, first + 1
            if not block[first - 1] & 128:
                break
    assert block[first : first + size] == b"h" * length
    assert block[first + size :].startswith(b"\0\x02te")


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"\x88", {STATUS: b"200"}),
        (b"\x20\x88\x5f\x10application/grpc", {STATUS: b"200"}),
        (b"\x08\x03500\x10\x0bgrpc-status\x017", {STATUS: b"500", GRPC_STATUS: b"7"}),
        (b"\x48\x03200" + literal("grpc-status", "12") + literal("x", "y"), {STATUS: b"200", GRPC_STATUS: b"12"}),
        (b"", {}),
        (b"\x88\x20", None),
        (b"\x21\x88", None),
        (b"\x3f\xe1\x1f\x88", None),
        (b"\x80", None),
        (b"\xbe", None),
        (b"\x7e\x01x", None),
        (b"\x0f\x2f\x01x", None),
        (b"\x88\x89", None),
        (b"\x88\x08\x03200", None),
        (b"\x88" + literal("grpc-status", "0") * 2, None),
        (b"\xff\xff\xff\xff\xff\xff\x01", None),
        (b"\x40", None),
        (b"\x40\x03x", None),
        (b"\x40\x01x\x7f\xff\xff\x7fy", None),
        (b"\x48\x82\x10\x01", None),
    ],
)
def test_a_block_says_its_statuses_or_cannot_be_read_without_a_table(block: bytes, found: object) -> None:
    assert status_fields(block) == found


@given(st.binary(max_size=80))
def test_whatever_a_block_holds_it_is_read_or_not(block: bytes) -> None:
    found = status_fields(block)
    assert found is None or all(isinstance(value, bytes) for value in found.values())
