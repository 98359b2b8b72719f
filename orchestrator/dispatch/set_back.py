"""Streams whose last id lies ahead of Redis' clock begin again at the clock, as soon as they are empty."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from narrows.contract.wire.keys import GROUP, ShardKeys, StreamKeys
from narrows.runtime.redis.store import Store
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.scripts import SET_BACK
from orchestrator.shards.entry_id import AHEAD_MS

_log = structlog.get_logger(__name__)
_AT_ONCE = 500


async def set_back(store: Store, lease: Lease, streams: Sequence[StreamKeys]) -> None:
    """Set back those of a shard's streams that are empty and ahead.

    A camera chose such an id, or the clock was set back. Until then Redis gives each entry the next id above it, which
    says nothing of when it came; above the highest id that there is it gives none.

    Raises:
        ServiceError: Redis is away.
    """
    for first in range(0, len(streams), _AT_ONCE):
        part = streams[first : first + _AT_ONCE]
        keys = [ShardKeys(lease.shard).fence, *(keys.features for keys in part)]
        count = int(await store.run(SET_BACK, keys, lease.token, GROUP, AHEAD_MS))
        if count:
            _log.warning("entry_ids_reset", shard=lease.shard, streams=count)
