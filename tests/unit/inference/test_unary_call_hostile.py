"""A server that is sick or means harm costs a call by name; its neighbours end as they should, the next call works."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from orchestrator.inference import http2_frames, unary_call
from orchestrator.inference.unary_call import CallFailed, CallLost, NotAsked, UnaryMethod, Unreadable
from orchestrator.inference.unary_connection import UnaryConnection
from tests.unit.inference.http2_peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    METHOD,
    OK_HEAD,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Peer,
    answer,
    calling,
    data,
    echoes,
    first_then_echoes,
    head,
    literal,
    message,
    outcome,
    serving,
    settings,
    trailers,
    u32,
    until,
)

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 1, 3, 6, 7, 8, 11
OK = literal("grpc-status", "0")
UNFINISHED = Frame(HEADERS, 0, 1, OK_HEAD)

BREACHES = {
    "no HTTP/2": (b"HTTP/1.1 400 Bad Request\r\n\r\n", FRAME_SIZE_ERROR),
    "a frame that is too large": (Frame(DATA, 0, 1, bytes(16_385)).to_bytes(), FRAME_SIZE_ERROR),
    "a size of 16 MiB that never comes": (b"\xff\xff\xff\x00\x00\0\0\0\x01", FRAME_SIZE_ERROR),
    "data of the connection": (data(0, b"x"), PROTOCOL_ERROR),
    "data of a stream that was not begun": (data(3, b"x"), PROTOCOL_ERROR),
    "headers of a stream of the server's": (head(2), PROTOCOL_ERROR),
    "a reset of nothing": (Frame(RST_STREAM, 0, 9, u32(8)).to_bytes(), PROTOCOL_ERROR),
    "a reset that is cut off": (Frame(RST_STREAM, 0, 1, b"\0\0").to_bytes(), FRAME_SIZE_ERROR),
    "settings of a stream": (Frame(SETTINGS, 0, 1).to_bytes(), PROTOCOL_ERROR),
    "settings that are cut off": (Frame(SETTINGS, 0, 0, bytes(7)).to_bytes(), FRAME_SIZE_ERROR),
    "settings that acknowledge and set": (Frame(SETTINGS, ACK, 0, bytes(6)).to_bytes(), FRAME_SIZE_ERROR),
    "a server to push to": (settings(s2=1), PROTOCOL_ERROR),
    "a window of 2 GiB": (settings(s4=1 << 31), FLOW_CONTROL_ERROR),
    "frames of nothing": (settings(s5=100), PROTOCOL_ERROR),
    "a promise": (Frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + OK_HEAD).to_bytes(), PROTOCOL_ERROR),
    "a short ping": (Frame(PING, 0, 0, b"1234567").to_bytes(), FRAME_SIZE_ERROR),
    "a ping of a stream": (Frame(PING, 0, 1, bytes(8)).to_bytes(), PROTOCOL_ERROR),
    "leaving, cut off": (Frame(GOAWAY, 0, 0, u32(1)).to_bytes(), FRAME_SIZE_ERROR),
    "a window that grows by nothing": (Frame(WINDOW_UPDATE, 0, 0, u32(0)).to_bytes(), PROTOCOL_ERROR),
    "a call's window that grows by nothing": (Frame(WINDOW_UPDATE, 0, 1, u32(0)).to_bytes(), PROTOCOL_ERROR),
    "a window that grows beyond": (Frame(WINDOW_UPDATE, 0, 0, u32((1 << 31) - 1)).to_bytes(), FLOW_CONTROL_ERROR),
    "padding of more than there is": (data(1, b"\x05abc", PADDED), PROTOCOL_ERROR),
    "padding of all that there is": (data(1, b"\x03ab", PADDED), PROTOCOL_ERROR),
    "padding of nothing": (data(1, b"", PADDED), PROTOCOL_ERROR),
    "a priority that is cut off": (Frame(HEADERS, END_HEADERS | 32, 1, b"\0\0").to_bytes(), FRAME_SIZE_ERROR),
    "a continuation of nothing": (Frame(CONTINUATION, END_HEADERS, 1, b"").to_bytes(), PROTOCOL_ERROR),
    "headers that another frame interrupts": (UNFINISHED.to_bytes() + data(1, b""), PROTOCOL_ERROR),
    "headers that another call goes on with": (
        UNFINISHED.to_bytes() + Frame(CONTINUATION, END_HEADERS, 3).to_bytes(),
        PROTOCOL_ERROR,
    ),
    "headers without an end": (
        UNFINISHED.to_bytes() + Frame(CONTINUATION, 0, 1, bytes(16_000)).to_bytes() * 5,
        ENHANCE_YOUR_CALM,
    ),
    "headers in parts of nothing": (
        UNFINISHED.to_bytes() + Frame(CONTINUATION, 0, 1).to_bytes() * 3000,
        ENHANCE_YOUR_CALM,
    ),
    "a flood of pings": (Frame(PING, ACK, 0, bytes(8)).to_bytes() * 3000, ENHANCE_YOUR_CALM),
    "a flood of settings": (Frame(SETTINGS, ACK, 0).to_bytes() * 3000, ENHANCE_YOUR_CALM),
    "a flood of data of nothing": (data(1, b"") * 3000, ENHANCE_YOUR_CALM),
    "a flood of what nobody knows": (Frame(200, 0, 0).to_bytes() * 3000, ENHANCE_YOUR_CALM),
}


@pytest.mark.parametrize(("said", "code"), BREACHES.values(), ids=BREACHES)
async def test_a_breach_of_http2_ends_its_connection_by_name_and_the_next_call_works(
    said: bytes, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2_frames, "_MOST_FRAMES", 2000)
    codes = list[int]()

    async def breaches(peer: Peer) -> None:
        await peer.asked()
        peer.say(said)
        codes.append(int.from_bytes((await peer.until(GOAWAY)).body[4:8], "big"))

    async with calling(first_then_echoes(breaches)) as method:
        lost = await outcome(method.call(b"x", 20))
        assert isinstance(lost, CallLost)
        assert str(lost).startswith("the server breaks HTTP/2: ")
        assert await method.call(b"on", 20) == b"no"
    assert codes == [code]


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", settings()[:4] + b"\x01" + bytes(4)])
async def test_who_does_not_begin_with_settings_speaks_no_http2(greeting: bytes) -> None:
    async with calling(echoes, greeting) as method:
        with pytest.raises(CallLost, match="it does not begin as HTTP/2 does"):
            await method.call(b"x", 20)


async def test_what_came_before_a_breach_counts() -> None:
    async def answers_and_breaches(peer: Peer) -> None:
        first, asked = await peer.asked()
        await peer.asked()
        peer.say(answer(first, asked) + data(0, b"x"))

    async with calling(first_then_echoes(answers_and_breaches)) as method:
        answered, lost = await asyncio.gather(outcome(method.call(b"a", 20)), outcome(method.call(b"b", 20)))
        assert answered == b"a"
        assert isinstance(lost, CallLost)


def one_by_one(stream: int, asked: bytes) -> bytes:
    """An answer in as many frames as it can have."""
    pieces = b"".join(data(stream, bytes((each,))) for each in message(asked))
    block = b"\x20" + OK_HEAD
    begun = (
        Frame(HEADERS, 0, stream, block[:1]).to_bytes() + Frame(CONTINUATION, END_HEADERS, stream, block[1:]).to_bytes()
    )
    ended = Frame(HEADERS, END_STREAM, stream, OK[:5]).to_bytes() + Frame(CONTINUATION, 0, stream, b"").to_bytes()
    return begun + pieces + ended + Frame(CONTINUATION, END_HEADERS, stream, OK[5:]).to_bytes()


def ornate(stream: int, asked: bytes) -> bytes:
    """An answer with all that may lie around it."""
    priority, unknown = Frame(PRIORITY, 0, 77, bytes(5)).to_bytes(), Frame(99, 0xFF, 1 << 20, b"?").to_bytes()
    early = head(stream, b"\x08\x03103") + head(stream, b"\x08\x03100")
    padded = Frame(HEADERS, END_HEADERS | PADDED | 32, stream, b"\x02" + bytes(5) + OK_HEAD + bytes(2)).to_bytes()
    body = data(stream, b"\x03" + message(asked) + bytes(3), PADDED)
    reserved = 1 << 31  # a bit that means nothing
    ended = trailers(stream | reserved, literal("x", "y") + OK)
    return unknown + early + priority + padded + body + settings(s9=1) + ended


@pytest.mark.parametrize("spelt", [one_by_one, ornate])
@pytest.mark.parametrize("slow", [False, True], ids=["at once", "byte by byte"])
async def test_an_answer_may_be_spelt_as_http2_allows(spelt: Callable[[int, bytes], bytes], *, slow: bool) -> None:
    async def spells(peer: Peer) -> None:
        while True:
            stream, asked = await peer.asked()
            said = spelt(stream, asked)
            for at in range(0, len(said), 1 if slow else len(said)):
                peer.say(said[at:] if not slow else said[at : at + 1])
                await asyncio.sleep(0)

    async with calling(spells) as method:
        assert [await method.call(each, 20) for each in (b"abc", b"", b"d" * 40)] == [b"abc", b"", b"d" * 40]


@pytest.mark.parametrize(
    "said",
    [
        data(1, message(b"x"), END_STREAM),
        head(1) + data(1, message(b"x"), END_STREAM),
        head(1) + trailers(1, OK),
        trailers(1, OK_HEAD + OK),
        trailers(1, OK),
        data(1, message(b"x")) + trailers(1, OK),
        head(1, b"\x8d") + data(1, message(b"x")) + trailers(1, OK),
        head(1, b"\x08\x03503") + data(1, b"<html>down</html>") + trailers(1, OK),
        head(1, b"\xbe") + data(1, message(b"x")) + trailers(1, OK),
        head(1, OK_HEAD + b"\x3e") + data(1, message(b"x")) + trailers(1, OK),
        head(1) + head(1) + data(1, message(b"x")) + trailers(1, OK),
        head(1) + data(1, message(b"x")) + trailers(1, b"\xc0"),
        head(1) + data(1, message(b"x")) + trailers(1, literal("grpc-status", "5" * 120)),
        head(1) + data(1, message(b"x")) + trailers(1, literal("grpc-status", "-1")),
        head(1) + data(1, message(b"x")) + trailers(1, OK + OK),
        head(1) + data(1, message(b"x") * 2) + trailers(1, OK),
        head(1) + data(1, b"\0" + u32(1 << 30) + b"x"),
        head(1) + data(1, message(b"x")[:-1]) + trailers(1, OK),
        Frame(RST_STREAM, 0, 1, u32(REFUSED_STREAM)).to_bytes(),
        Frame(GOAWAY, 0, 0, u32(0, 0)).to_bytes(),
    ],
    ids=[
        *("data alone", "no trailers", "no message", "trailers alone, all well", "trailers alone, no status of HTTP"),
        *("no head", "404", "503", "a place in a table", "a table, late", "two heads", "trailers in a table"),
        *("a status of 120 digits", "a status below 0", "two statuses", "two messages", "a message of 1 GiB"),
        *("half a message", "refused", "leaving, untouched"),
    ],
)
async def test_what_is_no_answer_here_is_unreadable_and_neighbours_and_the_next_call_have_theirs(said: bytes) -> None:
    async def odd_once(peer: Peer) -> None:
        await peer.asked()
        other, asked = await peer.asked()
        peer.say(said + answer(other, asked))
        with suppress(asyncio.IncompleteReadError):
            await echoes(peer)

    leaving = said[3] == GOAWAY
    async with calling(first_then_echoes(odd_once)) as method:
        first, second = await asyncio.gather(outcome(method.call(b"a", 20)), outcome(method.call(b"b", 20)))
        assert type(first) is Unreadable
        assert type(second) is (Unreadable if leaving else bytes)
        assert await method.call(b"on", 20) == b"no"


@pytest.mark.parametrize("code", [0, 1, 2, CANCEL, 99])
async def test_a_call_that_the_server_gives_up_may_be_under_way_still(code: int) -> None:
    async def resets(peer: Peer) -> None:
        stream, _ = await peer.asked()
        peer.say(head(stream) + Frame(RST_STREAM, 0, stream, u32(code)).to_bytes())
        await echoes(peer)

    async with calling(resets) as method:
        with pytest.raises(CallLost, match="gave the call up"):
            await method.call(b"x", 20)
        assert await method.call(b"on", 20) == b"no"


async def test_a_message_with_a_status_that_is_not_ok_is_no_answer() -> None:
    async def fails(peer: Peer) -> None:
        stream, _ = await peer.asked()
        said = literal("grpc-status", "13") + literal("grpc-message", "caf%C3%A9 at 100%25, 5%")
        peer.say(head(stream) + data(stream, message(b"half done")) + trailers(stream, said))

    async with calling(fails) as method:
        failed = await outcome(method.call(b"x", 20))
        assert isinstance(failed, CallFailed)
        assert (failed.status, failed.message) == (13, "café at 100%, 5%")


async def test_a_server_that_leaves_once_its_calls_are_under_way_costs_none_that_it_took() -> None:
    async def leaves(peer: Peer) -> None:
        asked = [await peer.asked() for _ in range(4)]
        peer.say(Frame(GOAWAY, 0, 0, u32((1 << 31) - 1, 0)).to_bytes())  # as gRPC's servers do first
        peer.say(Frame(PING, 0, 0, bytes(8)).to_bytes())
        await peer.until(PING)
        peer.say(Frame(GOAWAY, 0, 0, u32(asked[1][0], 11) + b"too many pings").to_bytes())
        for stream, payload in asked[:2]:
            peer.say(answer(stream, payload))
        with pytest.raises(asyncio.IncompleteReadError):
            await peer.until(DATA)

    async with calling(first_then_echoes(leaves)) as method:
        found = await asyncio.gather(*[outcome(method.call(bytes((each,)), 20)) for each in range(4)])
        assert found[:2] == [b"\0", b"\1"]
        assert [type(each) for each in found[2:]] == [Unreadable] * 2
        assert "did not take it up (ENHANCE_YOUR_CALM: too many pings)" in str(found[2])
        assert await method.call(b"on", 20) == b"no"


async def test_a_connection_that_was_left_ends_with_its_last_call_however_that_ends() -> None:
    ended = asyncio.Event()

    async def leaves_and_is_silent(peer: Peer) -> None:
        await peer.asked()
        peer.say(Frame(GOAWAY, 0, 0, u32(1, 0)).to_bytes())
        with suppress(asyncio.IncompleteReadError):
            await peer.until(GOAWAY)
        ended.set()

    async with calling(first_then_echoes(leaves_and_is_silent)) as method:
        call = asyncio.create_task(method.call(b"x", 20))
        await until(lambda: method._connection is not None and not method._connection.usable)
        assert await method.call(b"on", 20) == b"no"
        call.cancel()
        await asyncio.wait([call])
        await ended.wait()


async def test_a_connection_on_which_a_call_was_not_answered_in_time_is_asked_no_more_and_loses_no_other() -> None:
    late = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.asked()
        stream, asked = await peer.asked()
        await late.wait()
        peer.say(answer(stream, asked))
        with suppress(asyncio.IncompleteReadError):
            await peer.until(GOAWAY)

    async with serving(first_then_echoes(slow)) as (method, server):
        overdue, other = asyncio.create_task(method.call(b"a", 0.05)), asyncio.create_task(method.call(b"b", 20))
        assert isinstance(await outcome(overdue), TimeoutError)
        assert await method.call(b"on", 20) == b"no"
        late.set()
        assert await other == b"b"
        assert len(server.peers) == 2


async def test_windows_that_never_open_cost_nobody_but_those_without_room() -> None:
    async def frugal(peer: Peer) -> None:
        streams = [await peer.asked() for _ in range(8)]
        for stream, asked in streams:
            peer.say(answer(stream, asked[:3]))
        await echoes(peer)

    async with calling(frugal) as method:
        calls = [asyncio.create_task(outcome(method.call(bytes(8000), 20))) for _ in range(9)]
        found = await asyncio.gather(*calls)
        assert found[:8] == [bytes(3)] * 8
        assert type(found[8]) is NotAsked
        assert await method.call(b"small", 20) == b"llams"


async def test_what_a_server_sets_while_calls_are_under_way_holds_from_then_on() -> None:
    said = asyncio.Queue[bytes]()

    async def sets(peer: Peer) -> None:
        stream, asked = await peer.asked()
        while (frame := await said.get()) != b"go":
            peer.say(frame + Frame(PING, 0, 0, bytes(8)).to_bytes())
            await peer.until(PING)
            said.task_done()
        peer.say(answer(stream, asked))
        await echoes(peer)

    async def hear(frame: bytes) -> None:
        said.put_nowait(frame)
        await said.join()

    async with calling(sets) as method:
        first = asyncio.create_task(method.call(bytes(100), 20))
        await hear(settings(s4=104))
        assert type(await outcome(method.call(bytes(100), 20))) is NotAsked
        await hear(settings(s4=105, s3=1))
        assert type(await outcome(method.call(bytes(100), 20))) is NotAsked  # the first is under way
        await hear(settings(s3=0))
        assert type(await outcome(method.call(bytes(100), 20))) is NotAsked
        await hear(settings(s3=2, s5=1 << 20))
        second = asyncio.create_task(method.call(bytes(100), 20))
        said.put_nowait(b"go")
        assert list(await asyncio.gather(first, second)) == [bytes(100)] * 2


async def test_an_answer_of_more_than_it_says_is_cancelled_and_not_kept() -> None:
    resets = list[Frame]()

    async def overflows(peer: Peer) -> None:
        stream, _ = await peer.asked()
        peer.say(head(stream) + data(stream, b"\0" + u32(3) + b"abcd"))
        resets.append(await peer.until(RST_STREAM))
        for _ in range(200):
            peer.say(data(stream, bytes(16_000)))
        await echoes(peer)

    async with calling(overflows) as method:
        assert type(await outcome(method.call(b"x", 20))) is Unreadable
        assert await method.call(b"on", 20) == b"no"
    assert resets == [Frame(RST_STREAM, 0, 1, u32(CANCEL))]


async def test_a_server_that_says_no_more_has_ended_the_connection() -> None:
    async def half_closes(peer: Peer) -> None:
        await peer.asked()
        peer.writer.write_eof()
        with suppress(asyncio.IncompleteReadError):
            await peer.until(GOAWAY)

    async with calling(first_then_echoes(half_closes)) as method:
        with pytest.raises(CallLost, match="the server ended the connection"):
            await method.call(b"x", 20)
        assert await method.call(b"on", 20) == b"no"


async def test_a_server_that_restarts_is_called_again_once_it_takes_connections() -> None:
    async def one_call(peer: Peer) -> None:
        stream, asked = await peer.asked()
        peer.say(answer(stream, asked))

    async with serving(one_call) as (method, server):
        for _ in range(3):
            assert await method.call(b"x", 20) == b"x"
            await server.stop()
            for _ in range(3):
                with pytest.raises(CallLost):
                    await method.call(b"x", 20)
            await server.start()


async def test_who_takes_no_connection_costs_a_call_no_more_than_its_time() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):  # the queue of those that nobody accepts
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(full.getsockname())
        method = UnaryMethod(f"127.0.0.1:{full.getsockname()[1]}", METHOD)
        async with asyncio.timeout(unary_call._CONNECT_S / 2):
            found = await asyncio.gather(*[outcome(method.call(b"x", 0.1)) for _ in range(5)])
        assert [type(each) for each in found] == [CallLost] * 5
        method.close()


async def test_many_calls_with_many_given_up_leave_nothing_behind() -> None:
    random_ = random.Random(7)

    async def late(peer: Peer, stream: int, asked: bytes) -> None:
        await asyncio.sleep(0.001 * random_.randrange(8))
        peer.say(answer(stream, asked))

    async def in_any_order(peer: Peer) -> None:
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as answers:
                while True:
                    answers.create_task(late(peer, *await peer.asked()))

    async def one(method: UnaryMethod, number: int) -> None:
        call = asyncio.create_task(method.call(b"%d" % number, 20))
        if number % 3:
            assert await call == b"%d" % number
        else:
            await asyncio.sleep(0.001 * random_.randrange(8))
            call.cancel()
            await asyncio.wait([call])

    async with serving(in_any_order) as (method, server):
        assert await method.call(b"first", 20) == b"first"
        await asyncio.gather(*[one(method, number) for number in range(500)])
        assert method._connection is not None
        assert not method._connection._calls
        assert len(server.peers) == 1


async def test_a_server_that_asks_and_does_not_read_has_no_replies_kept_for_it() -> None:
    async def deaf(peer: Peer) -> None:
        await peer.asked()
        connection.pause_writing()
        assert not connection.has_room(b"")
        peer.say(Frame(PING, 0, 0, bytes(8)).to_bytes())
        await peer.until(GOAWAY)

    async with calling(first_then_echoes(deaf)) as method:
        connection = await method._connected(20)
        with pytest.raises(CallLost, match="it asks and does not read"):
            await method.call(b"x", 20)
        assert await method.call(b"on", 20) == b"no"


async def test_a_server_that_reads_again_is_asked_again() -> None:
    async with calling(echoes) as method:
        connection = await method._connected(20)
        connection.pause_writing()
        assert type(await outcome(method.call(b"x", 20))) is NotAsked
        connection.resume_writing()
        assert await method.call(b"on", 20) == b"no"


@pytest.mark.parametrize(("while_s", "later"), [(60.0, NotAsked), (0.0, Unreadable)])
async def test_a_server_whose_answers_cannot_be_read_is_left_to_others_for_a_while(
    monkeypatch: pytest.MonkeyPatch, while_s: float, later: type[Exception]
) -> None:
    huffman = Frame(HEADERS, END_HEADERS | END_STREAM, 0, OK_HEAD + b"\x40\x88huffman!\x010")
    monkeypatch.setattr(unary_call, "_ELSEWHERE_S", while_s)

    async def compresses(peer: Peer) -> None:
        while True:
            stream, asked = await peer.asked()
            failed = trailers(stream, OK_HEAD + literal("grpc-status", "3"))
            said = {b"plain": answer(stream, asked), b"failed": failed}
            peer.say(said.get(asked, huffman._replace(stream=stream).to_bytes()))

    async with calling(compresses) as method:
        asked = (b"x", b"x", b"plain", b"x", b"x", b"failed", b"x", b"x", b"x", b"x")
        kinds = [type(await outcome(method.call(each, 20))) for each in asked]
        twice = [Unreadable] * 2
        assert kinds == [*twice, bytes, *twice, CallFailed, *twice, Unreadable, later]


async def test_frames_are_counted_from_the_last_call_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_frames, "_MOST_FRAMES", 10)
    async with serving(echoes) as (method, server):
        for _ in range(20):
            assert await method.call(b"on", 20) == b"no"
        assert len(server.peers) == 1


async def test_a_connection_whose_streams_are_used_up_is_replaced_and_ends() -> None:
    async with serving(echoes) as (method, server):
        used_up = await method._connected(20)
        used_up._next_stream = (1 << 31) - 1
        assert await method.call(b"on", 20) == b"no"
        await until(lambda: used_up not in method._open)
        assert len(server.peers) == 2


async def test_what_connecting_takes_is_part_of_a_calls_time(monkeypatch: pytest.MonkeyPatch) -> None:
    left_s = list[float]()

    async def call(_: UnaryConnection, request: bytes, timeout_s: float) -> bytes:
        left_s.append(timeout_s)
        return request

    monkeypatch.setattr(UnaryConnection, "call", call)
    async with calling(echoes) as method:
        connect = method._connect

        async def slowly() -> UnaryConnection:
            await asyncio.sleep(0.05)
            return await connect()

        monkeypatch.setattr(method, "_connect", slowly)
        await method.call(b"x", 20)
    assert left_s[0] <= 20 - 0.05


async def test_a_method_that_was_closed_leaves_no_connection_behind() -> None:
    async def silent(peer: Peer) -> None:
        with suppress(asyncio.IncompleteReadError):
            await peer.until(GOAWAY)

    async with calling(silent) as method:
        connecting = asyncio.create_task(outcome(method.call(b"x", 20)))
        await asyncio.sleep(0)
        method.close()
        assert isinstance(await connecting, CallLost)
        assert not method._open
