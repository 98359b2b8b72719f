"""A MOVED or an ASK that names no host means another port where it came from, as the cluster specification has it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from redis.exceptions import AskError, MovedError

from narrows.runtime.redis.address import Address, Endpoint
from narrows.runtime.redis.cluster import Cluster
from narrows.runtime.redis.cluster_client import ClusterClient, SlotReader
from narrows.runtime.redis.server import ReplyRefused, Server
from narrows.runtime.redis.slots import SlotMap, host_said

OLD, NEW = Endpoint("h", 1), Endpoint("h", 2)
ADDRESS = Address.parse("redis+cluster://h:1")
BOTH = pytest.mark.parametrize("kind", [MovedError, AskError])
UNNAMED = pytest.mark.parametrize("where", [":2", "?:2"])


def slots_at(node: Endpoint) -> list[Any]:
    return [[0, 16383, [node.host.encode(), node.port, b"id"]]]


class AsServer:
    """The old node sends elsewhere, without a host; the new one answers, and says that it serves all."""

    def __init__(self, port: int, refusal: redis.ResponseError) -> None:
        self._port, self._refusal = port, refusal

    async def ask(self, packed: bytes, replies: int, *_: object, limit_s: float | None = None) -> list[Any]:
        assert limit_s is None or limit_s > 0
        if b"SLOTS" in packed:
            return [slots_at(Endpoint("h", self._port))]
        if self._port == OLD.port:
            return [ReplyRefused(self._refusal)] * replies
        return [*[b"OK"] * (replies - 1), b"here"]  # what it answers to ASKING comes first


@BOTH
@UNNAMED
def test_who_serves_follows_it(kind: type[AskError], where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(address: Address, *_: object, **__: object) -> AsServer:
        return AsServer(int(address.url.rpartition(":")[2].partition("/")[0]), kind(f"7 {where}"))

    monkeypatch.setattr(Server, "at", at)

    async def asked() -> tuple[Any, list[Any]]:
        return await Cluster(ADDRESS).ask(("GET", "k")), await Cluster(ADDRESS).ask_many([("GET", "k")])

    assert asyncio.run(asked()) == (b"here", [b"here"])


class AsClient:
    def __init__(self, node: Endpoint, refusal: redis.ResponseError) -> None:
        self._node, self._refusal = node, refusal

    def execute_command(self, *_: object) -> bytes:
        if self._node == OLD:
            raise self._refusal
        assert self._node == NEW
        return b"here"

    @contextmanager
    def pipeline(self, *, transaction: bool) -> Iterator[Any]:
        assert not transaction
        yield self

    def execute(self) -> list[bytes]:
        return [b"OK", self.execute_command()]


class AsReader(SlotReader):
    def read(self, told: Endpoint | None = None) -> SlotMap:
        return SlotMap.parse(slots_at(told or OLD), OLD)


@BOTH
@UNNAMED
def test_who_asks_and_waits_follows_it(kind: type[AskError], where: str) -> None:
    def connect(node: Endpoint) -> Any:
        return AsClient(node, kind(f"7 {where}"))

    assert ClusterClient(AsReader(ADDRESS, {}), connect).execute_command("GET", "k") == b"here"


def test_a_host_that_is_said_is_taken() -> None:
    assert [host_said(host, OLD) for host in ("", "?", "::1", "other")] == ["h", "h", "::1", "other"]
