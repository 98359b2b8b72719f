"""Decoder instances inside Triton servers, changed through the load API while they serve.

Triton applies a changed count without a restart: more instances are there in less than a second, each one fewer takes
about 1.3 s, and the call blocks meanwhile. What else stands in the configuration goes back as it came, a dispatcher's
stamp of a reload too. The engine cannot compare whose change is newer: two at once end in one of the two counts, and
the next absolute target settles it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from narrows.runtime.direct import GRPC_DIRECT
from narrows.runtime.triton_config.control import REMEDY, refuses_control
from orchestrator.scaling.replicas import ActuationFailed

_ASK_S, _LOAD_S = 5.0, 300.0
_DECODERS = "decoder_"
_CHANNEL = [GRPC_DIRECT, ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]

T = TypeVar("T")
Addresses = Callable[[], Collection[str]]


class TritonInstances:
    """Every decoder on every server, as one :class:`~orchestrator.scaling.replicas.Instances`."""

    def __init__(self, addresses: Addresses, models: Collection[str] = ()) -> None:
        """Know whom to ask; connects when first used.

        Args:
            addresses: the gRPC addresses of the servers now; called before each question.
            models: the names of the decoders; by default all that a server has ready.
        """
        self._addresses = addresses
        self._models = tuple(models)
        self._clients: dict[str, InferenceServerClient] = {}

    async def instances(self) -> int:
        """The least of all servers and decoders; 0 while there is no server.

        Raises:
            ActuationFailed: a server does not answer.
        """
        counts = await self._each(self._least)
        return min(counts, default=0)

    async def set_instances(self, target: int) -> None:
        """Have so many in every server, of every decoder; returns when they are there, or gone.

        Raises:
            ActuationFailed: a server refuses or does not answer; the others have changed.
            ValueError: a target below 1: a server that shall do nothing is stopped, not emptied.
        """
        if target < 1:
            raise ValueError(f"{target} instances: at least 1")

        async def change(client: InferenceServerClient) -> None:
            for model in await self._decoders(client):
                await _set(client, model, target)

        await self._each(change)

    async def close(self) -> None:
        """Let the connections go; servers stay as they are."""
        clients, self._clients = self._clients, {}
        await asyncio.gather(*(client.close() for client in clients.values()))

    async def _least(self, client: InferenceServerClient) -> int:
        configs = [await _config(client, model) for model in await self._decoders(client)]
        return min((count_instances(config) for config in configs), default=0)

    async def _decoders(self, client: InferenceServerClient) -> Sequence[str]:
        if self._models:
            return self._models
        index = await client.get_model_repository_index(client_timeout=_ASK_S)
        return sorted({m.name for m in index.models if m.state == "READY" and m.name.startswith(_DECODERS)})

    async def _each(self, ask: Callable[[InferenceServerClient], Awaitable[T]]) -> list[T]:
        """Ask all servers at once; raise of the first that failed when all have ended."""
        clients = await self._connected()
        answers = await asyncio.gather(*(ask(client) for client in clients.values()), return_exceptions=True)
        found: list[T] = []
        for address, answer in zip(clients, answers, strict=True):
            if isinstance(answer, InferenceServerException):
                remedy = f": {REMEDY}" if refuses_control(str(answer.message())) else ""
                raise ActuationFailed(
                    f"Triton at {address} does not tell or change its instances: {answer.message()}{remedy}"
                )
            if isinstance(answer, BaseException):
                raise answer
            found.append(answer)
        return found

    async def _connected(self) -> Mapping[str, InferenceServerClient]:
        now = sorted(set(self._addresses()))
        gone = [self._clients.pop(address) for address in set(self._clients) - set(now)]
        await asyncio.gather(*(client.close() for client in gone))
        for address in now:
            if address not in self._clients:
                self._clients[address] = InferenceServerClient(address, channel_args=_CHANNEL)
        return {address: self._clients[address] for address in now}


def count_instances(config: Mapping[str, Any]) -> int:
    """The instances of a model's configuration (JSON), over all GPUs that it names."""
    return sum(int(group.get("count", 0)) * _places(group) for group in config.get("instance_group", ()))


def with_instances(config: Mapping[str, Any], target: int) -> dict[str, Any]:
    """The configuration with ``target`` instances; kinds, GPUs and all else as they were.

    Several groups share them evenly, each at least one on each of its GPUs: so there may be more than asked for.
    """
    groups = config.get("instance_group") or [{}]
    changed = [
        {**group, "count": -(-max(1, target // len(groups) + (i < target % len(groups))) // _places(group))}
        for i, group in enumerate(groups)
    ]
    return {**config, "instance_group": changed}


def _places(group: Mapping[str, Any]) -> int:
    return max(1, len(group.get("gpus", ())))


async def _config(client: InferenceServerClient, model: str) -> dict[str, Any]:
    answer = await client.get_model_config(model, as_json=True, client_timeout=_ASK_S)
    config: dict[str, Any] = answer["config"]
    return config


async def _set(client: InferenceServerClient, model: str, target: int) -> None:
    config = await _config(client, model)
    wanted = with_instances(config, target)
    if wanted != config:
        await client.load_model(model, config=json.dumps(wanted), client_timeout=_LOAD_S)
