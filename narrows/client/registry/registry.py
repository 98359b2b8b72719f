"""Setting and removing what the cloud knows of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from narrows.client.registry.audit import AuditEvent, write_audit
from narrows.contract.errors import RecordError
from narrows.contract.wire import Install, ShardKeys, StreamKeys, StreamSettings


@dataclass(frozen=True, slots=True)
class StreamRegistry:
    """The settings of all streams of an install.

    The audit event is written *before* the change: keys of different shards share no transaction, and an
    event without a change is the lesser evil.
    """

    client: redis.Redis
    install: Install

    def get(self, stream: str) -> StreamSettings | None:
        """A stream's settings; ``None`` if it is not registered.

        Raises:
            StreamIdInvalid: the id cannot be used.
            RecordError: what is stored cannot be read.
        """
        stored: Any = self.client.hget(self._hash(stream), stream)
        return None if stored is None else StreamSettings.parse(stored)

    def get_if_readable(self, stream: str) -> StreamSettings | None:
        """As :meth:`get`; ``None`` too for what cannot be read, which may then be set anew or removed.

        Raises:
            StreamIdInvalid: the id cannot be used.
        """
        try:
            return self.get(stream)
        except RecordError:
            return None

    def set(self, stream: str, settings: StreamSettings, *, who: str) -> StreamSettings:
        """Register a stream, or change it, also where what was stored cannot be read; answers with what is now stored.

        Raises:
            StreamIdInvalid: the id cannot be used.
            RecordError: a setting is out of its range.
        """
        checked = StreamSettings.parse(settings.to_json())
        write_audit(self.client, AuditEvent(who, "set", stream, self.get_if_readable(stream), checked))
        self.client.hset(self._hash(stream), stream, checked.to_json())
        return checked

    def remove(self, stream: str, *, who: str) -> bool:
        """Forget a stream's settings: it has the defaults again. Answers whether there was something to forget.

        Raises:
            StreamIdInvalid: the id cannot be used.
        """
        before = self.get_if_readable(stream)
        if before is None and not self.client.hexists(self._hash(stream), stream):
            return False
        write_audit(self.client, AuditEvent(who, "remove", stream, before, None))
        self.client.hdel(self._hash(stream), stream)
        return True

    def registered(self) -> dict[str, StreamSettings | RecordError]:
        """All registered streams; where what is stored cannot be read, why."""
        found: dict[str, StreamSettings | RecordError] = {}
        for shard in range(self.install.shards):
            stored: Any = self.client.hgetall(ShardKeys(shard).streams)
            for name, value in stored.items():
                found[name.decode("utf-8", "replace")] = _read(value)
        return found

    def _hash(self, stream: str) -> str:
        return ShardKeys(StreamKeys.of(stream, self.install.shards).shard).streams


def _read(stored: bytes) -> StreamSettings | RecordError:
    try:
        return StreamSettings.parse(stored)
    except RecordError as error:
        return error
