"""What an error reply of Redis means for the one who asked: one table, for every client.

A reply is judged by its first word, its *code* (https://redis.io/docs/latest/develop/reference/protocol-spec/,
"Simple errors"). redis-py turns some codes into types and drops the word, so :func:`code_of` finds it again.
"""

from __future__ import annotations

from enum import StrEnum

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    DataError,
    ExecAbortError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from narrows.runtime.redact import redact


class Remedy(StrEnum):
    """What makes the same command succeed."""

    RECONNECT = "reconnect"
    """This server cannot take it, but another behind the same address may: drop every connection, then ask again."""
    WAIT = "wait"
    """This server takes it later: when it has time, memory or disk again, or an operator grants what is missing."""
    NONE = "none"
    """Nothing: the same command gets the same reply for ever."""


_REMEDIES = {
    # a replica, or a primary that was cut off from its replicas: what answers to the address may be another by now
    "READONLY": Remedy.RECONNECT,
    "MASTERDOWN": Remedy.RECONNECT,
    "NOREPLICAS": Remedy.RECONNECT,
    # a blocking command whose server became a replica; Redis 7.0 says it of a key that vanished, too
    "UNBLOCKED": Remedy.RECONNECT,
    # a server that has just started: the address may lead to one that is ready
    "LOADING": Remedy.RECONNECT,
    # a connection is authenticated when it is made
    "NOAUTH": Remedy.RECONNECT,
    "WRONGPASS": Remedy.RECONNECT,
    # members of a cluster, each behind one address
    "CLUSTERDOWN": Remedy.RECONNECT,
    "MOVED": Remedy.RECONNECT,
    "ASK": Remedy.RECONNECT,
    "TRYAGAIN": Remedy.WAIT,
    "BUSY": Remedy.WAIT,
    "OOM": Remedy.WAIT,
    "MISCONF": Remedy.WAIT,
    "NOPERM": Remedy.WAIT,
}
# the first that matches names it: a MASTERDOWN is a CLUSTERDOWN to redis-py as well, a MOVED an ASK
_CODES: tuple[tuple[type[RedisError], str], ...] = (
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (MovedError, "MOVED"),
    (AskError, "ASK"),
    (TryAgainError, "TRYAGAIN"),
    (ClusterCrossSlotError, "CROSSSLOT"),
    (ReadOnlyError, "READONLY"),
    (BusyLoadingError, "LOADING"),
    (NoScriptError, "NOSCRIPT"),
    (OutOfMemoryError, "OOM"),
    (NoPermissionError, "NOPERM"),
    (ExecAbortError, "EXECABORT"),
)
OF_OTHER_NODES = frozenset({"MOVED", "ASK", "CLUSTERDOWN"})
"""What a member of a cluster says of the others: it is itself where it was."""
_CODES_OF_AUTHENTICATION = ("NOAUTH", "WRONGPASS")


_HINTS = {
    "MOVED": "this server is one node of a cluster: begin --redis-url with redis+cluster://",
    "ASK": "its keys are on their way there: it is asked again",
    "TRYAGAIN": "a slot is being moved, and some of its keys are here: it is asked again",
    "CLUSTERDOWN": "see CLUSTER INFO: too few masters live, or nobody serves some slots",
    "CROSSSLOT": "a cluster takes keys of one slot in a command",
    "READONLY": "it is a replica: a failover is under way, or --redis-url is to name the primary, or its Sentinels",
    "MASTERDOWN": "it is a replica without its primary: a failover is under way, or look why the primary is away",
    "NOREPLICAS": "too few replicas follow it: was it cut off, and is it the primary still?",
}
"""What to do about replies that are about servers, not about what was asked."""


def hint_for(code: str) -> str:
    """What to do about an error reply that begins with ``code``; empty where its own words say it."""
    return _HINTS.get(code, "")


def code_of(error: RedisError) -> str:
    """The first word of an error reply; ``ERR`` where it has none, ``""`` for what is no reply."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, AuthenticationError):
        stated = getattr(error, "status_code", None)  # since redis-py 7.1
        return stated if stated in _CODES_OF_AUTHENTICATION else "WRONGPASS"
    if not isinstance(error, ResponseError):
        return ""
    word = str(error).partition(" ")[0]
    return word if word.isalpha() and word.isupper() else "ERR"


def remedy_for(code: str) -> Remedy:
    """What to do about an error reply that begins with ``code``."""
    return _REMEDIES.get(code, Remedy.NONE)


def remedy_of(error: RedisError) -> Remedy:
    """What to do about an error of redis-py; a connection that broke or timed out is to be made anew."""
    code = code_of(error)
    if code:
        return remedy_for(code)
    return Remedy.NONE if isinstance(error, DataError) else Remedy.RECONNECT


def words_of(error: BaseException) -> str:
    """An error in the server's own words, code first, without secrets: for logs and messages."""
    if isinstance(error, AskError):  # a MOVED is one as well; the server says a number and an address
        does = "is served by" if isinstance(error, MovedError) else "is being moved to"
        return f"{code_of(error)} slot {error.slot_id} {does} {error.node_addr[0]}:{error.node_addr[1]}"
    text = redact(str(error)) or type(error).__name__
    code = code_of(error) if isinstance(error, RedisError) else ""
    return text if code in {"", "ERR"} or text.startswith(code) else f"{code} {text}"
