"""Which shard a feature key lies in."""

from __future__ import annotations

from functools import lru_cache

from narrows.contract.errors import StreamIdInvalid
from narrows.contract.wire.keys import parse_feature_key, shard_of

_KEYS_REMEMBERED = 1 << 16


@lru_cache(_KEYS_REMEMBERED)
def place_key(key: bytes, shards: int) -> tuple[int, str]:
    """The shard and stream of a feature key.

    Raises:
        StreamIdInvalid: the key has no valid stream id, or lies in a shard that is not its stream's.
    """
    shard, stream = parse_feature_key(key)
    if shard != shard_of(stream, shards):
        raise StreamIdInvalid(f"{key[:80]!r}: stream {stream} belongs to shard {shard_of(stream, shards)} of {shards}")
    return shard, stream
