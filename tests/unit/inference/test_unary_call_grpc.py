"""The same calls at a server of gRPC's own library, which is what Triton answers with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc.aio
import pytest
from tritonclient.grpc import service_pb2

from narrows.contract.errors import InferenceFailed
from orchestrator.inference.infer_message import METHOD
from orchestrator.inference.triton_model import TritonModel
from orchestrator.inference.unary_call import CallFailed, NotAsked, UnaryMethod, Unreadable
from orchestrator.telemetry.faults import Cause
from tests.unit.inference.http2_peer import outcome, until

Answer = Callable[[bytes, Any], Awaitable[bytes]]


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer) if details.method == METHOD else None


@asynccontextmanager
async def grpc_server(answer: Answer, *options: tuple[str, Any]) -> AsyncIterator[str]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1), *options])
    server.add_generic_rpc_handlers([_Service(answer)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def calling(answer: Answer, *options: tuple[str, Any]) -> AsyncIterator[UnaryMethod]:
    async with grpc_server(answer, *options) as address:
        method = UnaryMethod(address, METHOD)
        try:
            yield method
        finally:
            method.close()


async def echoes(request: bytes, _: Any) -> bytes:
    return request[::-1]


async def test_calls_are_answered_each_with_its_own() -> None:
    async with calling(echoes) as method:
        asked = [b"%d" % number * (number + 1) for number in range(100)]
        assert list(await asyncio.gather(*[method.call(each, 20) for each in asked])) == [each[::-1] for each in asked]


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 65_536, 3_000_000])
async def test_an_answer_may_be_of_many_frames(size: int) -> None:
    async def large(_: bytes, __: Any) -> bytes:
        return bytes(size)

    async with calling(large) as method:
        for _ in range(3):
            assert await method.call(b"x", 20) == bytes(size)


async def test_an_answer_that_is_too_large_is_somebody_elses() -> None:
    async def large(request: bytes, _: Any) -> bytes:
        return bytes(1 << 24) if request == b"large" else request

    async with calling(large) as method:
        found = await asyncio.gather(*[outcome(method.call(each, 20)) for each in (b"large", b"small")])
        assert type(found[0]) is Unreadable
        assert found[1] == b"small"


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.INTERNAL, "Stub process 'model_0' is not healthy."),
        (grpc.StatusCode.UNAVAILABLE, "no: 100%, café\n\tat line 3"),
        (grpc.StatusCode.INVALID_ARGUMENT, ""),
        (grpc.StatusCode.UNKNOWN, "x" * 7000),
    ],
)
async def test_a_failure_has_its_status_and_its_words(code: grpc.StatusCode, details: str) -> None:
    async def fails(_: bytes, context: Any) -> bytes:
        await context.abort(code, details)
        return b""

    async with calling(fails) as method:
        for _ in range(3):
            failed = await outcome(method.call(b"x", 20))
            assert isinstance(failed, CallFailed)
            assert (failed.status, failed.message) == (code.value[0], details)


async def test_a_method_that_is_not_there_is_unimplemented() -> None:
    async with grpc_server(echoes) as address:
        method = UnaryMethod(address, "/no.Such/Thing")
        failed = await outcome(method.call(b"x", 20))
        method.close()
        assert isinstance(failed, CallFailed)
        assert failed.status == grpc.StatusCode.UNIMPLEMENTED.value[0]


async def test_a_call_that_is_given_up_ends_at_the_server() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(request: bytes, _: Any) -> bytes:
        if request == b"slow":
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        return request

    async with calling(slow) as method:
        call = asyncio.create_task(method.call(b"slow", 20))
        assert await method.call(b"quick", 20) == b"quick"
        await begun.wait()
        call.cancel()
        await asyncio.wait([call])
        await ended.wait()
        assert await method.call(b"quick", 20) == b"quick"


async def test_a_server_that_takes_one_call_at_a_time_is_asked_one_at_a_time() -> None:
    going = asyncio.Event()

    async def waits(request: bytes, _: Any) -> bytes:
        await going.wait()
        return request

    async with calling(waits, ("grpc.max_concurrent_streams", 1)) as method:
        first = asyncio.create_task(outcome(method.call(b"1", 20)))
        await until(lambda: method._connection is not None and not method._connection.has_room(b""))
        assert type(await outcome(method.call(b"2", 20))) is NotAsked
        going.set()
        assert await first == b"1"
        assert await method.call(b"3", 20) == b"3"


async def test_a_server_that_lets_no_connection_live_for_long_costs_no_call() -> None:
    async def takes_a_while(request: bytes, _: Any) -> bytes:
        await asyncio.sleep(0.003)
        return request

    age = ("grpc.max_connection_age_ms", 100)
    async with calling(takes_a_while, age, ("grpc.max_connection_age_grace_ms", 5000)) as method:
        seen = set[int]()
        while len(seen) < 4:
            found = await asyncio.gather(*[outcome(method.call(b"x", 20)) for _ in range(8)])
            assert {each if isinstance(each, bytes) else type(each) for each in found} <= {b"x", Unreadable}
            seen.add(id(method._connection))


class _Calls:
    """Answers each call of a method with the next of some errors."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self._errors = list(errors)

    async def call(self, _: bytes, __: float) -> bytes:
        raise self._errors.pop(0)

    def close(self) -> None:
        """Nothing is held."""


async def answers_batches(_: bytes, __: Any) -> bytes:
    answer = service_pb2.ModelInferResponse(model_name="model")
    answer.outputs.add(name="labels", datatype="UINT8", shape=(1, 2, 3))
    return bytes(answer.SerializeToString())


async def test_what_cannot_be_asked_or_read_here_is_asked_through_grpc_and_only_the_latter_is_a_fault() -> None:
    told = list[tuple[Cause, str]]()
    async with grpc_server(answers_batches) as address:
        model = TritonModel(address, "model", report=lambda *fault: told.append(fault))
        try:
            model._calls = cast("UnaryMethod", _Calls([NotAsked(), Unreadable("in Huffman's code")]))
            for _ in range(2):
                assert (await model.infer(b"")).form("labels") == ("UINT8", (1, 2, 3))
        finally:
            await model.close()
    assert told == [(Cause.TRITON_ASKED_AGAIN, f"Triton at {address}: in Huffman's code; asked again through gRPC")]


async def test_what_was_waited_for_before_is_part_of_the_time_that_grpc_has() -> None:
    left_s = list[float]()

    class Slow(_Calls):
        async def call(self, request: bytes, timeout_s: float) -> bytes:
            await asyncio.sleep(0.05)
            return await super().call(request, timeout_s)

    async def infer(request: bytes, timeout: float) -> bytes:  # noqa: ASYNC109 - as grpc's
        left_s.append(timeout)
        return await answers_batches(request, None)

    model = TritonModel("127.0.0.1:9", "model", answer_s=20)
    try:
        model._calls, model._model_infer = cast("UnaryMethod", Slow([NotAsked()])), infer
        await model.infer(b"")
    finally:
        await model.close()
    assert left_s[0] <= 20 - 0.05


async def test_an_answer_that_is_no_answer_fails_its_batch() -> None:
    async def junk(_: bytes, __: Any) -> bytes:
        return b"\xff" * 20

    async with grpc_server(junk) as address:
        model = TritonModel(address, "model")
        try:
            with pytest.raises(InferenceFailed, match="no ModelInferResponse"):
                await model.infer(b"")
        finally:
            await model.close()
