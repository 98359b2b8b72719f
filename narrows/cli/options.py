"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from narrows.broker.url import DEFAULT_REDIS_URL

RedisUrl = Annotated[
    str,
    typer.Option(
        "--redis-url",
        envvar="NARROWS_REDIS_URL",
        help="The install's Redis, 7 or newer: redis://, rediss:// for TLS, or file:PATH that holds such an address.",
    ),
]

__all__ = ["DEFAULT_REDIS_URL", "RedisUrl"]
