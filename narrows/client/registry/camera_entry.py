"""The newest entry of a stream that a camera writes for people: how much it holds is up to the camera."""

from __future__ import annotations

from typing import Any

import redis
from redis.exceptions import NoPermissionError

from narrows.contract.errors import RecordError

MOST_ENTRY_BYTES = 1 << 18
"""An answer to prompts takes 32 KiB, a still 24,000 bytes, beside what Redis needs itself."""


def newest_entry(client: redis.Redis, key: str) -> tuple[int, dict[bytes, bytes]] | None:
    """When it was added, Unix milliseconds, and its fields; ``None`` where there is none.

    Raises:
        RecordError: it is larger than what a camera has to say, and is not read.
    """
    try:
        size = client.memory_usage(key, samples=0)
    except NoPermissionError:
        size = 0  # a user that was made before this was asked
    if isinstance(size, int) and size > MOST_ENTRY_BYTES:
        raise RecordError(f"{key} takes {size} bytes; at most {MOST_ENTRY_BYTES} are read")
    entries: Any = client.xrevrange(key, count=1)
    if not entries:
        return None
    entry, fields = entries[0]
    return int(entry.partition(b"-")[0]), fields
