"""The connection to Redis, and the names of the ways in which it fails."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import NamedTuple

import redis
from redis._parsers.socket import SERVER_CLOSED_CONNECTION_ERROR
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from narrows.runtime.redis.connection import open_pool
from narrows.runtime.redis.replies import code_of, hint_for

CONNECT_S = 3.0
ANSWER_S = 10.0
AWAY_S = 2.0
_THIN_LINEAR_TIMEOUTS = 16  # TCP_THIN_LINEAR_TIMEOUTS of linux/tcp.h: Python's socket has no name for it


class LinkFailure(NamedTuple):
    """Why Redis did not take what it was given: a counter label and what to do."""

    reason: str
    remedy: str


_CREDENTIALS = LinkFailure("credentials_refused", "check the user and password in --redis-url")
_BY_CODE = {
    "WRONGPASS": _CREDENTIALS,
    "NOAUTH": _CREDENTIALS,
    "NOPERM": LinkFailure("not_permitted", "give it the user that `narrows keys acl STREAM` makes for this stream"),
    "OOM": LinkFailure("out_of_memory", "Redis is at maxmemory: are the dispatchers running?"),
    "READONLY": LinkFailure("read_only", "this Redis is a replica: point --redis-url at the primary"),
    "MASTERDOWN": LinkFailure("read_only", "this Redis is a replica without its primary: point --redis-url at it"),
    "NOREPLICAS": LinkFailure("no_replicas", "this primary was cut off from its replicas: is it the primary still?"),
    "LOADING": LinkFailure("loading", "Redis reads its data set: it will be there in a while"),
    "BUSY": LinkFailure("busy", "a script keeps Redis from answering: wait for it, or SCRIPT KILL on the server"),
    "MISCONF": LinkFailure("cannot_save", "Redis cannot write to its disk, and so takes nothing: look at its log"),
    "DENIED": LinkFailure("protected_mode", "this Redis takes loopback clients only: give it users, or a password"),
    **{
        code: LinkFailure("cluster", hint_for(code))
        for code in ("CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN", "CROSSSLOT")
    },
}
_MAX_CLIENTS = LinkFailure("max_clients", "Redis has as many clients as it takes: see CLIENT LIST, or raise maxclients")
_TIMEOUT = LinkFailure("timeout", "Redis did not answer in time: is the link congested?")
_UNREACHABLE = LinkFailure("unreachable", "is Redis up, and --redis-url right?")
_OTHER = LinkFailure("refused", "Redis refused the command: see cause")


def connect(
    url: str, answer_s: float = ANSWER_S, away_s: float | None = None, *, key: str | None = None
) -> redis.Redis:
    """A client that leaves trying again to its caller; nothing is sent yet.

    In a cluster its connections lead to the node that serves ``key``, by default the install record.

    A packet of 13 KB has ``answer_s`` to be acknowledged: 10 s are enough at 12 kbit/s. While few segments are on their
    way Linux does not double the time until it sends them again (Petlund et al., "TCP Mechanisms for Improving the User
    Experience for Time-Dependent Thin-Stream Applications", LCN 2008): a link that comes back is noticed sooner. After
    six tries it does; with ``away_s``, what was sent again for so long without a sign of life ends the connection (RFC
    5482), and a new one is tried every second.

    Raises:
        ServiceError: the address cannot be read.
    """
    options = {
        "socket_timeout": answer_s,
        "socket_connect_timeout": min(CONNECT_S, answer_s),
        "socket_keepalive": True,
        "socket_keepalive_options": _tcp_options(away_s),
        "retry": Retry(NoBackoff(), 0),
    }
    return redis.Redis.from_pool(open_pool(url, redis.ConnectionPool, SentinelConnectionPool, options, key))


def _tcp_options(away_s: float | None) -> dict[int, int]:
    if sys.platform != "linux":
        return {}
    away = {} if away_s is None else {socket.TCP_USER_TIMEOUT: round(1000 * away_s)}
    return {_THIN_LINEAR_TIMEOUTS: 1, **away}


def read_record(client: redis.Redis, key: str) -> bytes | None:
    """A string value's bytes, or ``None`` where there is none.

    Raises:
        RedisError: what :func:`name_failure` names.
    """
    value = client.get(key)
    return value.encode() if isinstance(value, str) else value


def name_failure(error: RedisError) -> LinkFailure:
    """What a redis-py error means to the person who watches this camera; say :func:`words_of` the error beside it."""
    code = code_of(error)
    if code:
        return _BY_CODE.get(code, _OTHER)
    if isinstance(error, redis.TimeoutError):
        return _TIMEOUT
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return _CREDENTIALS
    if isinstance(error, redis.ConnectionError):
        return _MAX_CLIENTS if "max number of clients" in str(error) else _UNREACHABLE
    return _OTHER


def is_of_the_bytes(error: RedisError) -> bool:
    """Whether Redis refused what it was given, rather than this user, this key or this moment."""
    return code_of(error) == "ERR"


def is_the_servers_end(error: RedisError) -> bool:
    """Whether the server ended the connection, in order or by a reset; a link that fails is silent instead."""
    causes = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return type(error) is redis.ConnectionError and (
        isinstance(error.__context__, causes) or SERVER_CLOSED_CONNECTION_ERROR in str(error)
    )
