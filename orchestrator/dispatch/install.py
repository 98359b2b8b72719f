"""What is fixed at install: the number of shards, agreed through one record that the first dispatcher writes."""

from __future__ import annotations

from narrows.errors import RecordError, ServiceError
from narrows.wire.install import MAX_SHARDS, Install
from narrows.wire.keys import DEFAULT_SHARDS, INSTALL_KEY
from orchestrator.dispatch.store import Store


async def agree_on_shards(store: Store, wanted: int | None) -> int:
    """The install's number of shards; writes the record if this is the first dispatcher ever.

    Raises:
        ServiceError: the record says another number than ``wanted``, cannot be read, or Redis is away.
    """
    if wanted is not None and not 1 <= wanted <= MAX_SHARDS:
        raise ServiceError(f"--shards {wanted}: an install has 1 to {MAX_SHARDS} shards")
    await store.call("SET", INSTALL_KEY, Install(wanted or DEFAULT_SHARDS).to_json(), "NX")
    try:
        shards = Install.parse(await store.call("GET", INSTALL_KEY) or b"").shards
    except RecordError as error:
        raise ServiceError(f"{INSTALL_KEY} in Redis: {error}; is this another program's database?") from None
    if wanted not in (None, shards):
        raise ServiceError(
            f"--shards {wanted}, but this install has {shards} for good: leave the option out, or use an empty Redis"
        )
    return shards
