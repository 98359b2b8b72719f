"""What cameras say of prompts and plans: the newest entry counts, and a camera may add as many as it likes.

It may do so without ever sending a frame, so the keys are looked for by name, not by the streams that there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import structlog

from narrows.runtime.redis.store import ReplyRefused, Store

_log = structlog.get_logger(__name__)
_PATTERNS = ("narrows:{*}:prompt_state:*", "narrows:{*}:plan:*")
_KEY = re.compile(rb"narrows:\{(\d{1,4})\}:(?:prompt_state|plan):")


async def trim_prompt_answers(store: Store, owned: Collection[int]) -> None:
    """Leave the newest answer of each camera of the owned shards; a key that cannot be trimmed is left alone.

    Raises:
        ServiceError: Redis is away.
    """
    found = [key for pattern in _PATTERNS for key in await store.scan_streams(pattern)]
    keys = [key for key in found if _shard(key) in owned]
    trimmed = await store.many([("XTRIM", key, "MAXLEN", 1) for key in keys])
    for key, entries in zip(keys, trimmed, strict=True):
        if not isinstance(entries, ReplyRefused) and int(entries) > 0:
            _log.warning("prompt_answers_trimmed", key=key[:120], entries=int(entries))


def _shard(key: bytes) -> int | None:
    found = _KEY.match(key)
    return None if found is None else int(found[1])
