"""A Redis connection whose failures are :class:`~narrows.errors.ServiceError` with the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from narrows.errors import ServiceError
from narrows.redact import redact
from narrows.wire import Install
from narrows.wire.keys import INSTALL_KEY

SOCKET_TIMEOUT_S = 5.0


def connect(url: str) -> redis.Redis:
    """A client of the server at ``url``; nothing is sent yet. Answers are bytes.

    Raises:
        ServiceError: the URL is none that Redis clients know.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ServiceError(f"Redis URL {redact(url)}: {error}") from None


@contextmanager
def named_errors(url: str) -> Iterator[None]:
    """Turn what the client raises into a named error.

    Raises:
        ServiceError: Redis is absent, or refuses the command.
    """
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ServiceError(
            f"Redis at {redact(url)} does not answer ({error}): is it running, and is the URL right? "
            "Set it with --redis-url or NARROWS_REDIS_URL"
        ) from None
    except redis.RedisError as error:
        raise ServiceError(f"Redis at {redact(url)} refuses: {error}") from None


def read_install(client: redis.Redis) -> Install:
    """How many shards this install has.

    Raises:
        ServiceError: no orchestrator has ever run against this Redis.
        RecordError: the record cannot be read.
    """
    record = client.get(INSTALL_KEY)
    if not isinstance(record, bytes):
        raise ServiceError(f"{INSTALL_KEY} is not in this Redis: start `narrows orchestrate` against it first")
    return Install.parse(record)
