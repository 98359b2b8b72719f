"""The connection to Redis, and the names of the ways in which it fails."""

from __future__ import annotations

from typing import NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.retry import Retry

from narrows.errors import ServiceError
from narrows.redact import redact

CONNECT_S = 3.0
ANSWER_S = 10.0


class LinkFailure(NamedTuple):
    """Why Redis did not take what it was given: a counter label and what to do."""

    reason: str
    remedy: str


# the first that matches names it: what refuses credentials is a ConnectionError to redis-py as well
_FAILURES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], LinkFailure], ...] = (
    (
        (AuthenticationError, AuthorizationError),
        LinkFailure("credentials_refused", "check the user and password in --redis-url"),
    ),
    (
        NoPermissionError,
        LinkFailure("not_permitted", "give it the user that `narrows keys acl STREAM` makes for this stream"),
    ),
    (OutOfMemoryError, LinkFailure("out_of_memory", "Redis is at maxmemory: are the dispatchers running?")),
    (ReadOnlyError, LinkFailure("read_only", "this Redis is a replica: point --redis-url at the primary")),
    (BusyLoadingError, LinkFailure("loading", "Redis reads its data set: it will be there in a while")),
    (
        redis.TimeoutError,
        LinkFailure("timeout", "Redis did not answer in time: is the link congested?"),
    ),
    (redis.ConnectionError, LinkFailure("unreachable", "is Redis up, and --redis-url right?")),
)
_OTHER = LinkFailure("refused", "Redis refused the command: see cause")


def connect(url: str, answer_s: float = ANSWER_S) -> redis.Redis:
    """A client that leaves trying again to its caller; nothing is sent yet.

    A packet of 13 KB has ``answer_s`` to be acknowledged: 10 s are enough at 12 kbit/s.

    Raises:
        ServiceError: the address cannot be read.
    """
    try:
        return redis.Redis.from_url(
            url, socket_timeout=answer_s, socket_connect_timeout=min(CONNECT_S, answer_s), retry=Retry(NoBackoff(), 0)
        )
    except ValueError as error:
        raise ServiceError(
            f"--redis-url {redact(url)!r}: {redact(str(error))}; write redis://[user:password@]host:6379/0"
        ) from None


def read_record(client: redis.Redis, key: str) -> bytes | None:
    """A string value's bytes, or ``None`` where there is none.

    Raises:
        RedisError: what :func:`name_failure` names.
    """
    value = client.get(key)
    return value.encode() if isinstance(value, str) else value


def name_failure(error: RedisError) -> LinkFailure:
    """What a redis-py error means to the person who watches this camera."""
    return next((failure for kinds, failure in _FAILURES if isinstance(error, kinds)), _OTHER)


def may_have_arrived(error: RedisError) -> bool:
    """Whether a write that failed so may have been done: the connection broke between the command and its answer."""
    refusals = (AuthenticationError, AuthorizationError, BusyLoadingError)
    return isinstance(error, redis.ConnectionError | redis.TimeoutError) and not isinstance(error, refusals)
