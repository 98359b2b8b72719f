"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from narrows.runtime.redis.url import DEFAULT_REDIS_URL


class Send(StrEnum):
    """What cameras send of a frame."""

    FEATURES = "features"
    MASKS = "masks"
    AUTO = "auto"


RedisUrl = Annotated[
    str,
    typer.Option(
        "--redis-url",
        envvar="NARROWS_REDIS_URL",
        help="The install's Redis: redis://, redis+sentinel://, redis+cluster:// (rediss: TLS) or file:PATH.",
    ),
]

HttpToken = Annotated[
    str | None,
    typer.Option(
        "--http-token",
        envvar="NARROWS_HTTP_TOKEN",
        help="What /metrics asks for; needed beyond loopback. Better by the variable, or file:PATH.",
        show_default="none",
    ),
]

__all__ = ["DEFAULT_REDIS_URL", "HttpToken", "RedisUrl", "Send"]
