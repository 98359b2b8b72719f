"""Error replies, as servers write them and redis-py's parser reads them."""

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser
from redis.exceptions import RedisError

from narrows.runtime.redis.replies import Remedy, code_of, hint_for, remedy_of, words_of

_REPLIES = [
    ("READONLY You can't write against a read only replica.", "READONLY", Remedy.RECONNECT),
    ("UNBLOCKED force unblock from blocking operation, instance state changed", "UNBLOCKED", Remedy.RECONNECT),
    (
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "MASTERDOWN",
        Remedy.RECONNECT,
    ),
    ("LOADING Redis is loading the dataset in memory", "LOADING", Remedy.RECONNECT),
    ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS", Remedy.RECONNECT),
    ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN", Remedy.RECONNECT),
    ("MOVED 3999 127.0.0.1:6381", "MOVED", Remedy.RECONNECT),
    ("ASK 3999 127.0.0.1:6381", "ASK", Remedy.RECONNECT),
    ("NOAUTH Authentication required.", "NOAUTH", Remedy.RECONNECT),
    ("WRONGPASS invalid username-password pair or user is disabled.", "WRONGPASS", Remedy.RECONNECT),
    ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN", Remedy.WAIT),
    ("BUSY Redis is busy running a script.", "BUSY", Remedy.WAIT),
    ("OOM command not allowed when used memory > 'maxmemory'.", "OOM", Remedy.WAIT),
    ("MISCONF Redis is configured to save RDB snapshots", "MISCONF", Remedy.WAIT),
    ("NOPERM User cam has no permissions to run the 'xadd' command", "NOPERM", Remedy.WAIT),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE", Remedy.NONE),
    ("NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT", Remedy.NONE),
    ("CROSSSLOT Keys in request don't hash to the same slot", "CROSSSLOT", Remedy.NONE),
    ("ERR string exceeds maximum allowed size (proto-max-bulk-len)", "ERR", Remedy.NONE),
    ("user_script:7: attempt to index a nil value", "ERR", Remedy.NONE),
]


def _parsed(reply: str) -> RedisError:
    error = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]
    assert isinstance(error, RedisError)
    return error


@pytest.mark.parametrize(("reply", "code", "remedy"), _REPLIES)
def test_a_reply_keeps_its_code_its_remedy_and_the_servers_own_words(reply: str, code: str, remedy: Remedy) -> None:
    error = _parsed(reply)
    assert (code_of(error), remedy_of(error)) == (code, remedy)
    if code not in ("MOVED", "ASK"):
        assert words_of(error) == (reply if code != "ERR" else reply.removeprefix("ERR "))


@pytest.mark.parametrize(
    ("reply", "words", "hint"),
    [
        ("MOVED 1584 127.0.0.1:17006", "MOVED slot 1584 is served by 127.0.0.1:17006", "redis+cluster://"),
        ("ASK 1584 127.0.0.1:17006", "ASK slot 1584 is being moved to 127.0.0.1:17006", "asked again"),
        ("TRYAGAIN Multiple keys request", "TRYAGAIN Multiple keys request", "asked again"),
        ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN The cluster is down", "CLUSTER INFO"),
        ("MASTERDOWN Link with MASTER is down", "MASTERDOWN Link with MASTER is down", "failover"),
        ("READONLY You can't write", "READONLY You can't write", "replica"),
        ("WRONGTYPE Operation", "WRONGTYPE Operation", ""),
    ],
)
def test_what_servers_say_of_each_other_is_told_in_words_with_what_to_do(reply: str, words: str, hint: str) -> None:
    error = _parsed(reply)
    assert words_of(error) == words
    assert hint in hint_for(code_of(error))
    assert bool(hint) is bool(hint_for(code_of(error)))


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("Connection closed by server."),
        exceptions.TimeoutError("Timeout reading from socket"),
        _parsed("ERR max number of clients reached"),
    ],
)
def test_what_is_no_reply_to_a_command_is_mended_by_another_connection(error: RedisError) -> None:
    assert code_of(error) == ""
    assert remedy_of(error) is Remedy.RECONNECT


def test_a_command_that_the_library_cannot_send_is_not_mended_by_sending_it_again() -> None:
    assert remedy_of(exceptions.DataError("Invalid input of type: 'dict'")) is Remedy.NONE


def test_an_error_without_words_is_told_by_its_type() -> None:
    assert words_of(exceptions.TimeoutError()) == "TimeoutError"
