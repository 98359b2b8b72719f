"""The servers behind a value of ``--triton``, at this moment."""

from __future__ import annotations

import socket
from contextlib import closing

import redis

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis import connect
from narrows.runtime.redis.replies import words_of
from orchestrator.discovery.record import ServerRecord
from orchestrator.discovery.sources import parse_sources


def addresses_of(value: str, redis_url: str) -> list[str]:
    """The addresses, ``host:port``; a name with one address stays a name. Records that cannot be read are left out.

    Raises:
        ServiceError: it is no such value, or Redis, where servers register, does not answer.
    """
    found: list[str] = []
    for source in parse_sources([value]):
        if source.address is None:
            found += _registered(redis_url)
        else:
            found += _behind(source.address.host, source.address.port) if source.named else [str(source.address)]
    return list(dict.fromkeys(found))


def _behind(host: str, port: int) -> list[str]:
    try:
        infos = socket.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return [f"{host}:{port}"]  # it will not answer, and say why
    addresses = sorted({str(info[4][0]) for info in infos})
    return [f"{each}:{port}" for each in addresses] if len(addresses) > 1 else [f"{host}:{port}"]


def _registered(redis_url: str) -> list[str]:
    found = []
    try:
        with closing(connect(redis_url)) as client:
            records = client.hvals(ScaleKeys.SERVERS)
    except redis.RedisError as error:
        raise ServiceError(f"Redis, where servers register, does not answer: {words_of(error)}") from None
    for record in records:
        try:
            found.append(ServerRecord.parse(record if isinstance(record, bytes) else record.encode()).address)
        except RecordError:
            continue
    return sorted(found)
