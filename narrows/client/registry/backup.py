"""What cannot be had again of an install, as a file: settings, ledgers, and which frames have ended.

A line of JSON for the install, and one a stream. It names streams and not keys, so it may be restored where Redis is of
another kind, one server or a cluster, and where the install has another number of shards. Frames and masks pass through
and are not in it; neither is the audit.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from narrows.client.registry.registry import StreamRegistry
from narrows.contract.errors import RecordError, ServiceError, StreamIdInvalid
from narrows.contract.json_text import decode_object
from narrows.contract.wire import Install, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import INSTALL_KEY, check_stream_id

_FORMAT = 1
_MOST_LINE_BYTES = 1 << 20
_LEDGERS = "narrows:{*}:ledger:*"
_AT_ONCE = 1000
_COUNTS_BELOW = 10**15
"""Dispatchers count no further (``lua/window.lua``), and end no frame of a stream whose ledger says more."""


@dataclass(frozen=True, slots=True)
class StreamBackup:
    """A stream.

    Attributes:
        settings: its record; empty where the defaults hold.
        ledger: frames by how they ended.
        seen: the window of ended frames, as it is stored.
    """

    stream: str
    settings: str
    ledger: dict[str, int]
    seen: dict[bytes, bytes]

    def to_line(self) -> str:
        """As JSON."""
        seen = {_text(name): _text(value) for name, value in self.seen.items()}
        fields = {"stream": self.stream, "settings": self.settings, "ledger": self.ledger, "seen": seen}
        return json.dumps(fields, separators=(",", ":"), sort_keys=True)

    @classmethod
    def parse(cls, line: bytes, number: int) -> StreamBackup:
        """Read a line.

        Raises:
            RecordError: it is none; the message says which line.
        """
        what = f"line {number} of the backup"
        fields = decode_object(line, what=what, most_bytes=_MOST_LINE_BYTES)
        try:
            settings, ledger, seen = str(fields["settings"]), dict(fields["ledger"]), dict(fields["seen"])
            if settings:
                StreamSettings.parse(settings.encode())
            _check_counts(ledger)
            named = {_bytes(name): _bytes(value) for name, value in seen.items()}
            return cls(check_stream_id(str(fields["stream"])), settings, ledger, named)
        except KeyError as error:
            raise RecordError(f"{what} has no {error}") from None
        except (ValueError, TypeError, binascii.Error) as error:
            raise RecordError(f"{what} cannot be read: {error}") from None


def write_backup(registry: StreamRegistry) -> Iterator[str]:
    """The lines, without their ends. Each stream is read in one step, so its ledger and its window agree.

    What dispatchers do not take either is left out, for a line that cannot be read costs all others: settings that are
    none, counts that are none, streams whose names cannot be used.

    Raises:
        RedisError: the server is away, or refuses.
    """
    streams = sorted(_streams(registry))
    head = {"narrows_backup": _FORMAT, "install": registry.install.to_json().decode(), "streams": len(streams)}
    yield json.dumps(head)
    for stream in streams:
        yield _read(registry, stream).to_line()


def read_backup(lines: Iterable[bytes]) -> tuple[Install, list[StreamBackup]]:
    """All of it, checked before anything is changed.

    Raises:
        RecordError: it is no backup, or a line is amiss, or there are not as many as its first line says.
    """
    numbered = iter(enumerate(lines, 1))
    first = next(numbered, (1, b""))[1]
    head = decode_object(first, what="line 1 of the backup", most_bytes=_MOST_LINE_BYTES)
    if head.get("narrows_backup") != _FORMAT:
        raise RecordError(f"this is no backup of format {_FORMAT}: `narrows streams backup` writes one")
    install = Install.parse(str(head.get("install", "")).encode())
    streams = [StreamBackup.parse(line, number) for number, line in numbered if line.strip()]
    said = head.get("streams", len(streams))  # which earlier releases did not write
    if said != len(streams):
        raise RecordError(f"the backup has {len(streams)} streams of {said}: it was cut off; take another copy of it")
    return install, streams


def restore(
    client: redis.Redis, install: Install, streams: Iterable[StreamBackup], *, replace: bool = False
) -> Install:
    """Write streams into an install, which is made as it was where there is none; answers the install as it is.

    Args:
        client: of the Redis.
        install: as the backup has it.
        streams: what to write.
        replace: also streams that have a ledger by now, which is lost. No dispatcher may run.

    Raises:
        ServiceError: a stream has a ledger already, or its shard an owner. Nothing was changed.
        RedisError: the server is away, or refuses.
    """
    stored: Any = client.get(INSTALL_KEY)
    here, found = (install if stored is None else Install.parse(stored)), list(streams)
    _refuse_what_is_there(client, here, found, replace=replace)
    if stored is None:
        client.set(INSTALL_KEY, here.to_json(), nx=True)
    for each in found:
        _write(client, each, StreamKeys.of(each.stream, here.shards))
    return here


def _streams(registry: StreamRegistry) -> set[str]:
    ledgers = registry.client.scan_iter(match=_LEDGERS, count=_AT_ONCE)
    names = {key.decode("utf-8", "replace").split(":ledger:", 1)[1] for key in ledgers}
    return {name for name in names | set(registry.registered()) if _is_stream_id(name)}


def _is_stream_id(name: str) -> bool:
    try:
        check_stream_id(name)
    except StreamIdInvalid:
        return False
    return True


def _read(registry: StreamRegistry, stream: str) -> StreamBackup:
    keys = StreamKeys.of(stream, registry.install.shards)

    def together(pipe: Any) -> None:  # noqa: ANN401 - redis-py's pipeline
        pipe.multi()
        pipe.hget(ShardKeys(keys.shard).streams, stream)
        pipe.hgetall(keys.ledger)
        pipe.hgetall(keys.seen)

    found: Any = registry.client.transaction(together, keys.ledger)
    settings, ledger, seen = found
    counts = {
        name.decode("utf-8", "replace"): int(count)
        for name, count in ledger.items()
        if count.isdigit() and int(count) < _COUNTS_BELOW
    }
    return StreamBackup(stream, _readable(settings), counts, seen)


def _readable(settings: bytes | None) -> str:
    try:
        StreamSettings.parse(settings or b"")
    except RecordError:
        return ""
    return (settings or b"").decode()


def _refuse_what_is_there(
    client: redis.Redis, install: Install, found: Iterable[StreamBackup], *, replace: bool
) -> None:
    for each in found:
        keys = StreamKeys.of(each.stream, install.shards)
        owner: Any = client.get(ShardKeys(keys.shard).lease)
        if replace and owner is not None:
            name = owner.decode("utf-8", "replace").partition(" ")[2]
            raise ServiceError(f"shard {keys.shard} belongs to {name}: stop the dispatchers, and wait for four seconds")
        if not replace and client.exists(keys.ledger):
            raise ServiceError(
                f"stream {each.stream} has a ledger here: its camera sends already. Restore before cameras begin, or "
                "with --replace, which forgets what was counted since"
            )


def _write(client: redis.Redis, stream: StreamBackup, keys: StreamKeys) -> None:
    def together(pipe: Any) -> None:  # noqa: ANN401 - redis-py's pipeline
        pipe.multi()
        pipe.delete(keys.ledger, keys.seen)
        if stream.ledger:
            pipe.hset(keys.ledger, mapping=stream.ledger)
        if stream.seen:
            pipe.hset(keys.seen, mapping=stream.seen)
        if stream.settings:
            pipe.hset(ShardKeys(keys.shard).streams, stream.stream, stream.settings)

    client.transaction(together, keys.ledger)


def _check_counts(ledger: dict[str, Any]) -> None:
    for name, count in ledger.items():
        if type(count) is not int or not 0 <= count < _COUNTS_BELOW:
            raise ValueError(f"{name!r} of the ledger is no count")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
