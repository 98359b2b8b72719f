"""The border to Triton: what its client raises becomes ours, also where a connection was closed meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from narrows.contract.bundle import ServedModel
from narrows.contract.errors import InferenceFailed, ServiceError
from orchestrator.inference.decoder import TritonDecoder
from orchestrator.inference.triton_model import TritonModel

NOWHERE = "127.0.0.1:9"
Ask = Callable[[TritonModel], Awaitable[Any]]
ASKS: dict[str, Ask] = {
    "instances": TritonModel.instances,
    "statistics": TritonModel.statistics,
    "loading": TritonModel.ensure_loaded,
    "registering": lambda model: model.register("region", 1),
    "unregistering": lambda model: model.unregister("region"),
    "a batch": lambda model: model.infer(b"\0" * 10_000),  # more than the connection of our own takes
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_what_is_asked_of_a_connection_that_was_closed_is_a_named_error(ask: Ask) -> None:
    model = TritonModel(NOWHERE, "decoder")
    await model.close()
    with pytest.raises(ServiceError):
        await ask(model)


async def test_a_connection_that_was_closed_is_not_ready() -> None:
    model = TritonModel(NOWHERE, "decoder")
    await model.close()
    assert not await model.ready()


async def test_a_server_that_refuses_to_say_what_it_serves_leaves_no_connection_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = list[str]()

    async def nothing(_: TritonModel) -> None:
        return None

    async def refused(_: TritonModel) -> None:
        raise InferenceFailed("internal")

    async def close(model: TritonModel) -> None:
        closed.append(model.address)

    monkeypatch.setattr(TritonModel, "ensure_loaded", nothing)
    monkeypatch.setattr(TritonModel, "check_control", nothing)
    monkeypatch.setattr(TritonModel, "config", refused)
    monkeypatch.setattr(TritonModel, "close", close)

    class Named:
        id = 1

    with pytest.raises(InferenceFailed):
        await TritonDecoder.connect(NOWHERE, cast("ServedModel", Named()), max_batch=1, slots=1)
    assert closed == [NOWHERE]
