"""Failures of Redis have names; credentials have none in any message."""

from __future__ import annotations

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser

from edge_client.transport.link import connect, name_failure
from narrows.contract.errors import ServiceError


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("WRONGPASS invalid username-password pair or user is disabled.", "credentials_refused"),
        ("NOAUTH Authentication required.", "credentials_refused"),
        ("NOPERM this user has no permissions to run the 'xadd' command", "not_permitted"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "out_of_memory"),
        ("READONLY You can't write against a read only replica.", "read_only"),
        ("MASTERDOWN Link with MASTER is down", "read_only"),
        ("NOREPLICAS Not enough good replicas to write.", "no_replicas"),
        ("LOADING Redis is loading the dataset in memory", "loading"),
        ("BUSY Redis is busy running a script.", "busy"),
        ("MISCONF Redis is configured to save RDB snapshots", "cannot_save"),
        ("DENIED Redis is running in protected mode", "protected_mode"),
        ("MOVED 3999 127.0.0.1:6381", "cluster"),
        ("ERR max number of clients reached", "max_clients"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "refused"),
    ],
)
def test_what_a_server_says_has_a_name_of_its_own(reply: str, reason: str) -> None:
    error = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]
    assert name_failure(error).reason == reason
    assert name_failure(error).remedy


@pytest.mark.parametrize(
    ("error", "reason"),
    [(exceptions.TimeoutError("timed out"), "timeout"), (exceptions.ConnectionError("refused"), "unreachable")],
)
def test_a_server_that_says_nothing_has_one_too(error: exceptions.RedisError, reason: str) -> None:
    assert name_failure(error).reason == reason


def test_an_address_that_cannot_be_read_is_named_without_its_password() -> None:
    with pytest.raises(ServiceError, match="--redis-url") as caught:
        connect("http://camera:hunter2@cloud:6379/0")
    assert "hunter2" not in str(caught.value)
