"""Connections to the master that Sentinels name: redis-py's, which ask for it whenever they connect.

A Sentinel that is away is passed over; the one that answered is asked first the next time.
"""

from __future__ import annotations

from typing import Any

import redis
from redis import Connection, ConnectionPool
from redis import asyncio as aio
from redis import sentinel as blocking
from redis.asyncio import sentinel as waiting
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from narrows.runtime.redis.address import Address, Endpoint

_ANSWER_S = 5.0
_OF_SENTINELS = ("socket_", "ssl_")
"""Options of connections that those to Sentinels have too."""


class MasterConnection(blocking.SentinelManagedConnection):
    """redis-py's, but for READONLY: it keeps its name, and whoever reads it leaves the server."""

    read_response = Connection.read_response


class MasterSSLConnection(blocking.SentinelManagedSSLConnection):
    """As :class:`MasterConnection`, by TLS."""

    read_response = Connection.read_response


class AsyncMasterConnection(waiting.SentinelManagedConnection):
    """As :class:`MasterConnection`, for asyncio."""

    read_response = aio.Connection.read_response  # type: ignore[assignment]  # redis-py's two differ in a type


class AsyncMasterSSLConnection(waiting.SentinelManagedSSLConnection):
    """As :class:`AsyncMasterConnection`, by TLS."""

    read_response = aio.Connection.read_response  # type: ignore[assignment]


class _Sentinels(blocking.Sentinel):
    def __init__(self, address: Address, options: dict[str, Any]) -> None:
        super().__init__(_pairs(address), sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._address = address

    def discover_master(self, service_name: str) -> tuple[str, int]:
        try:
            found: tuple[str, int] = super().discover_master(service_name)  # type: ignore[no-untyped-call]
        except MasterNotFoundError:
            raise _no_master(self._address) from None
        finally:
            for each in self.sentinels:  # they are asked again when a connection is made anew, in a minute
                each.connection_pool.disconnect()
        return found


class _AsyncSentinels(waiting.Sentinel):
    def __init__(self, address: Address, options: dict[str, Any]) -> None:
        super().__init__(_pairs(address), sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._address = address

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        try:
            found: tuple[str, int] = await super().discover_master(service_name)
        except waiting.MasterNotFoundError:
            raise _no_master(self._address) from None
        finally:
            for each in self.sentinels:
                await each.connection_pool.disconnect()
        return found


def _pairs(address: Address) -> list[tuple[str, int]]:
    return [(each.host, each.port) for each in address.servers]


def _no_master(address: Address) -> MasterNotFoundError:
    asked = ", ".join(map(str, address.servers))
    return MasterNotFoundError(
        f"no Sentinel of {asked} names a master {address.service!r} that is up: "
        "look at SENTINEL MASTERS there, and at the name in the address"
    )


def open_sentinel(address: Address, sentinel: Endpoint) -> redis.Redis:
    """A client of one Sentinel of an address, whose answers are as the protocol has them; nothing is sent yet."""
    given = _given(address)
    secure = given.pop("connection_class", None) is SSLConnection
    options = {"socket_timeout": _ANSWER_S, "socket_connect_timeout": _ANSWER_S, "retry": Retry(NoBackoff(), 0)}
    own = _of_sentinels(address, given | options) | {"retry": options["retry"], "ssl": secure}
    client = redis.Redis(sentinel.host, sentinel.port, **own)
    client.response_callbacks.clear()
    return client


def master_pool(address: Address, pool: type[ConnectionPool], **options: Any) -> ConnectionPool:  # noqa: ANN401
    """A pool of connections to the master that the Sentinels of an address name, with redis-py's options.

    Args:
        address: of Sentinels.
        pool: a subclass of redis-py's ``SentinelConnectionPool``.
        options: of each connection.
    """
    given = _given(address)
    secure = given.pop("connection_class", None) is SSLConnection
    own = _of_sentinels(address, given | options) | {"retry": Retry(NoBackoff(), 0), "ssl": secure}
    manager = _Sentinels(address, own)
    connection = MasterSSLConnection if secure else MasterConnection
    make: Any = pool
    found: ConnectionPool = make(address.service, manager, connection_class=connection, **given | options)
    return found


def async_master_pool(address: Address, **options: Any) -> waiting.SentinelConnectionPool:  # noqa: ANN401
    """As :func:`master_pool`, for asyncio."""
    given = _given(address)
    secure = given.pop("connection_class", None) is SSLConnection
    own = _of_sentinels(address, given | options) | {"retry": AsyncRetry(NoBackoff(), 0), "ssl": secure}
    own["socket_timeout"] = own["socket_connect_timeout"]
    manager = _AsyncSentinels(address, own)
    connection = AsyncMasterSSLConnection if secure else AsyncMasterConnection
    make: Any = waiting.SentinelConnectionPool
    found: waiting.SentinelConnectionPool = make(
        address.service, manager, connection_class=connection, **given | options
    )
    return found


def _given(address: Address) -> dict[str, Any]:
    """What the address says of each connection, but where to."""
    found: dict[str, Any] = parse_url(address.of_server(address.servers[0]))  # type: ignore[no-untyped-call]
    return {name: value for name, value in found.items() if name not in ("host", "port")}


def _of_sentinels(address: Address, options: dict[str, Any]) -> dict[str, Any]:
    shared = {name: value for name, value in options.items() if name.startswith(_OF_SENTINELS)}
    return shared | dict(address.sentinel or {})
