"""The fencing token that a lease comes with."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from narrows.runtime.redis.store import Reply

_log = structlog.get_logger(__name__)


def uncounted() -> None:
    """Count nothing."""


def token_of(reply: Reply, fence: str, replaced: Callable[[], None] = uncounted) -> str | None:
    """The fencing token of an acquired lease; a fence that held none was replaced, is named and counted."""
    if reply is None:
        return None
    token, junk = reply
    if junk:
        replaced()
        _log.warning("fence_replaced", key=fence, held=junk)
    return str(token.decode())
