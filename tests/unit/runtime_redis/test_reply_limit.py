"""No more of a reply is taken in than who asked allows."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from redis._parsers import Encoder

from narrows.runtime.redis.reply_limit import LimitedParser, ReplyLimitPassed

REPLY = b"$100\r\n" + b"x" * 100 + b"\r\n"


async def read(most_bytes: int) -> list[Any]:
    stream = asyncio.StreamReader()
    stream.feed_data(REPLY)
    parser = LimitedParser(socket_read_size=16)
    encoder = Encoder("utf-8", "strict", decode_responses=False)  # type: ignore[no-untyped-call]
    parser.on_connect(SimpleNamespace(_reader=stream, encoder=encoder))
    parser.left_bytes = most_bytes
    return await parser.replies(1)


def test_a_reply_as_large_as_is_allowed_is_read() -> None:
    assert asyncio.run(read(len(REPLY))) == [b"x" * 100]


def test_a_reply_that_is_larger_by_a_byte_is_given_up() -> None:
    with pytest.raises(ReplyLimitPassed):
        asyncio.run(read(len(REPLY) - 1))
