"""Failures of Redis have names; credentials have none in any message."""

from __future__ import annotations

import pytest
from redis import exceptions

from edge_client.link import connect, name_failure
from narrows.errors import ServiceError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.AuthenticationError("WRONGPASS"), "credentials_refused"),
        (exceptions.NoPermissionError("NOPERM"), "not_permitted"),
        (exceptions.OutOfMemoryError("OOM"), "out_of_memory"),
        (exceptions.ReadOnlyError("READONLY"), "read_only"),
        (exceptions.BusyLoadingError("LOADING"), "loading"),
        (exceptions.TimeoutError("timed out"), "timeout"),
        (exceptions.ConnectionError("refused"), "unreachable"),
        (exceptions.ResponseError("WRONGTYPE"), "refused"),
    ],
)
def test_every_failure_has_its_own_name(error: exceptions.RedisError, reason: str) -> None:
    assert name_failure(error).reason == reason
    assert name_failure(error).remedy


def test_an_address_that_cannot_be_read_is_named_without_its_password() -> None:
    with pytest.raises(ServiceError, match="--redis-url") as caught:
        connect("http://camera:hunter2@cloud:6379/0")
    assert "hunter2" not in str(caught.value)
