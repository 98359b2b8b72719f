"""The install: its record, the living dispatchers, and who owns which shard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis

from narrows.contract.wire import Install, ShardKeys
from narrows.contract.wire.frame_packet import FORMAT
from narrows.contract.wire.keys import DISPATCHERS_KEY, INSTALL_KEY
from narrows.runtime.finding import Finding, fail, ok, warn

ALIVE_MS = 3000


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who lives, and who owns what: ``owners`` has a name for each shard, ``None`` where nobody has the lease."""

    living: frozenset[str]
    owners: tuple[str | None, ...]


def read_record(client: redis.Redis) -> Install | None:
    """The install's record, ``None`` where there is none.

    Raises:
        RedisError: Redis refuses.
        RecordError: it cannot be read.
    """
    record: Any = client.get(INSTALL_KEY)
    return None if record is None else Install.parse(record)


def gather(client: redis.Redis, install: Install) -> Ownership:
    """Ask who lives and who owns what.

    Raises:
        RedisError: Redis refuses.
    """
    seconds, micros = _any(client.time())
    now_ms = seconds * 1000 + micros // 1000
    living = _any(client.zrangebyscore(DISPATCHERS_KEY, now_ms - ALIVE_MS, now_ms + ALIVE_MS))
    asking = client.pipeline(transaction=False)  # the shards may lie on different nodes
    for shard in range(install.shards):
        asking.get(ShardKeys(shard).lease)
    leases = asking.execute(raise_on_error=False)
    return Ownership(
        frozenset(name.decode("utf-8", "replace") for name in living), tuple(_owner(lease) for lease in leases)
    )


def judge_record(install: Install | None) -> Finding:
    """Whether the cloud's side has ever run here."""
    if install is None:
        remedy = "start `narrows orchestrate` against it; if one ran before, this is another Redis or an emptied one"
        return fail("install", f"{INSTALL_KEY} is not in this Redis", remedy)
    return ok("install", f"{install.shards} shards")


def judge_packet_format(install: Install, masks_of: str | None) -> Finding:
    """What cameras may send; ``masks_of`` is a stream whose camera is told to send masks, ``None``: none is known."""
    newest = install.newest_packet_format
    if masks_of is not None and newest < FORMAT:
        detail = f"{masks_of} is told to send masks, and sends features: cameras may send packet format {newest} alone"
        return warn("packet format", detail, f"once all dispatchers read it: `narrows streams packet-format {FORMAT}`")
    more = (
        ""
        if newest >= FORMAT
        else f"; `narrows streams packet-format {FORMAT}` permits short headers and cameras' masks"
    )
    return ok("packet format", f"cameras may send {newest}{more}")


def judge(ownership: Ownership) -> Iterator[Finding]:
    """Whether somebody works, and on every shard."""
    count, shards = len(ownership.living), len(ownership.owners)
    if not ownership.living:
        yield fail("dispatchers", "none lives: frames wait", "start `narrows orchestrate`")
    else:
        yield ok("dispatchers", f"{count} living: {', '.join(sorted(ownership.living))}")
    free = [shard for shard, owner in enumerate(ownership.owners) if owner is None]
    gone = {owner for owner in ownership.owners if owner is not None} - ownership.living
    if gone:
        detail = f"{', '.join(sorted(gone))} holds leases and is not heard of"
        yield warn("leases", detail, "wait 3 s: others take them over; else look whether it was stopped (SIGSTOP)")
    elif free and ownership.living:
        detail = f"nobody owns {_named(free)} of {shards} shards"
        yield warn("leases", detail, "wait 2 s and look again; else look for lease errors in the dispatchers' logs")
    elif not free:
        yield ok("leases", f"all {shards} shards are owned")


def _named(shards: list[int]) -> str:
    return ", ".join(map(str, shards[:8])) + (" ..." if len(shards) > 8 else "")


def _owner(lease: object) -> str | None:
    """A lease is its token, a space and its owner; a key of another type is none."""
    return None if not isinstance(lease, bytes) else lease.decode("utf-8", "replace").partition(" ")[2]


def _any(value: Any) -> Any:  # noqa: ANN401
    """redis-py types its answers for both of its clients at once."""
    return value
