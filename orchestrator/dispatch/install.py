"""What is fixed at install: the number of shards, agreed through one record that the first dispatcher writes.

It is looked at for as long as a dispatcher runs: a Redis that was emptied gets it back, and where it says another
number than before, this process reads and writes the wrong keys.
"""

from __future__ import annotations

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.wire.install import MAX_SHARDS, Install
from narrows.contract.wire.keys import DEFAULT_SHARDS, INSTALL_KEY
from narrows.runtime.redis.store import Reply, Store


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


async def disagreement(store: Store, shards: int) -> str:
    """Why the install is not one of ``shards`` shards any more; empty where it is. Writes the record if it is lost.

    Raises:
        ServiceError: Redis is away, or refuses.
    """
    record = await store.call("GET", INSTALL_KEY)
    if record is None:  # only then: a server that is full refuses every SET, and leases are kept on it
        await store.call("SET", INSTALL_KEY, Install(shards).to_json(), "NX")
        record = await store.call("GET", INSTALL_KEY)
    return _difference(record, shards)


def _difference(record: Reply, shards: int) -> str:
    try:
        found = Install.parse(record or b"").shards
    except RecordError as error:
        return f"{INSTALL_KEY} cannot be read: {error}; SET it to {Install(shards).to_json().decode()}"
    if found == shards:
        return ""
    return f"{INSTALL_KEY} says {found} shards, and this process began with {shards}: start it again"
