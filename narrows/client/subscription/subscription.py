"""How each frame of a stream ended, as an iterator over Redis.

::

    out stream ──XREAD BLOCK──► entries ──parse──► MaskPacket | ResultPacket | Skip | Refusal
        ▲                          │
        └── from last_id ◄─────────┘    a broken connection is made again, and nothing is read twice or passed over

A server that cannot answer now, or that became a replica, is sat out as a broken connection is. One that lost its last
writes (a failover, a power failure) has a stream that ends before ``last_id``: it is read on behind the newest outcome
that was read and is there yet.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import redis
import structlog
from msgspec.structs import replace

from narrows.client.subscription.label_tables import LabelTableCache
from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.outputs.labels.small import LabelTableSource, general_tables_alone
from narrows.contract.wire import Install, MaskPacket, Refusal, Skip, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY, KIND_FIELD, PACKET_FIELD
from narrows.contract.wire.outcome import MASK, outcome_from_json
from narrows.contract.wire.output_packet import OUTPUT_FIELD, OutputPacket
from narrows.contract.wire.result import ResultPacket, is_result
from narrows.runtime.backoff import Backoff
from narrows.runtime.redact import redact
from narrows.runtime.redis import DEFAULT_REDIS_URL, connect, named_errors, read_install
from narrows.runtime.redis.replies import Remedy, code_of, remedy_of, words_of

Outcome = MaskPacket | ResultPacket | Skip | Refusal
_LOG = structlog.get_logger("narrows.client.subscription")
_ENTRIES_A_READ = 16
_BLOCK_MS = 1000
_ENTRY_ID = re.compile(r"\d{1,20}(-\d{1,20})?")
_NOT_ALLOWED = ("NOAUTH", "WRONGPASS", "NOPERM")  # an operator may mend these; who waits is told at once
_LOOK_AT_END_S = 10.0
_NOTHING = "0-0"
_KEPT = 256  # outcomes that Redis keeps of a stream, about


def subscribe(
    stream: str, *, redis_url: str = DEFAULT_REDIS_URL, from_id: str = "$", timeout_s: float | None = None
) -> Subscription:
    """Follow a stream: every outcome after ``from_id``, in order, as it comes.

    Args:
        stream: the stream's id.
        redis_url: where the install's Redis is.
        from_id: ``"$"`` begins with what ends after this call, ``"0"`` with the oldest outcome that is kept (about 256
            a stream, an hour), an earlier subscription's ``last_id`` behind what that one read.
        timeout_s: the iteration ends when nothing has come for so long; ``None`` waits for ever.

    Raises:
        StreamIdInvalid: the stream's id cannot be used.
        ServiceError: Redis does not answer now, refuses, or has no install; ``from_id`` is no entry id.
        RecordError: the install record cannot be read.

    Example:
        >>> for outcome in subscribe("cam-1", timeout_s=30):
        ...     if isinstance(outcome, MaskPacket):
        ...         print(outcome.identity.sequence, outcome.labels.shape)
    """
    client = connect(redis_url)
    with named_errors(redis_url):
        keys = StreamKeys.of(stream, read_install(client).shards)
        return Subscription(client, keys, _first_id(client, keys.outcomes, from_id), redis_url, timeout_s)


class Subscription(Iterator[Outcome]):
    """An iterator over outcomes; also a context manager that closes its connection.

    ``next`` raises ``RecordError`` for an entry that cannot be read (``LabelTablesMissing`` for a small mask whose
    tables are not in Redis) and can be called again: it goes on behind it. It raises ``ServiceError`` where Redis
    refuses, or has been away for ``timeout_s``; shorter absences it sits out.

    Attributes:
        last_id: the Redis id of the outcome that ``next`` answered last; give it as ``from_id`` to resume.
        reconnects: how often the connection broke.
        on_silence: called about once a second while nothing comes.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: StreamKeys,
        last_id: str,
        redis_url: str,
        timeout_s: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.last_id = last_id
        self.reconnects = 0
        self.on_silence: Callable[[], None] | None = None
        self._client = client
        self._keys = keys
        self._url = redis_url
        self._timeout_s = timeout_s
        self._clock = clock
        self._read_ids = deque([last_id], maxlen=_KEPT)
        self._waiting: deque[tuple[str, dict[bytes, bytes]]] = deque()
        self._backoff = Backoff(first_s=0.1)
        self._looked_at_end_s = clock()
        self._tables = LabelTableCache(client)

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __next__(self) -> Outcome:
        """The next outcome; ``StopIteration`` when none came for ``timeout_s``."""
        give_up_s = None if self._timeout_s is None else self._clock() + self._timeout_s
        while not self._waiting:
            self._read(give_up_s)
        self.last_id, fields = self._waiting.popleft()
        self._read_ids.append(self.last_id)
        return parse_entry(fields, self._tables)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _read(self, give_up_s: float | None) -> None:
        left_s = self._left_s(give_up_s)
        with named_errors(self._url):
            found = self._next_entries(left_s)
        if found is None:
            return
        self._waiting.extend(found)
        if not found and self.on_silence is not None:
            self.on_silence()
        if not found and give_up_s is not None and self._clock() >= give_up_s:
            raise StopIteration

    def _left_s(self, give_up_s: float | None) -> float | None:
        return None if give_up_s is None else max(0.0, give_up_s - self._clock())

    def _next_entries(self, left_s: float | None) -> list[tuple[str, dict[bytes, bytes]]] | None:
        """What came; ``None`` from a server that is away, which with no time left is raised instead."""
        block_ms = _BLOCK_MS if left_s is None else max(1, min(_BLOCK_MS, round(left_s * 1000)))
        try:
            if self._clock() - self._looked_at_end_s > _LOOK_AT_END_S:
                self._look_at_end()
            answer: Any = self._client.xread({self._keys.outcomes: self.last_id}, count=_ENTRIES_A_READ, block=block_ms)
            found = [(entry_id.decode(), fields) for _, entries in answer or () for entry_id, fields in entries]
            self._tables.learn(fields.get(PACKET_FIELD, b"") for _, fields in found)
        except redis.RedisError as error:
            if remedy_of(error) is Remedy.NONE or code_of(error) in _NOT_ALLOWED:
                raise
            self._sit_out(error, left_s)
            return None
        self._backoff.reset()
        if found:
            self._looked_at_end_s = self._clock()
        return found

    def _look_at_end(self) -> None:
        """Go back where the stream ends before what was read last: ids that come now may be smaller.

        Raises:
            ServiceError: the install has another number of shards by now, so the stream lies elsewhere.
        """
        if self._lies_elsewhere(self._client.get(INSTALL_KEY)):
            raise ServiceError(f"{INSTALL_KEY} says another number of shards than before: subscribe anew")
        end = _end_of(self._client, self._keys.outcomes)
        if end != _NOTHING and _order_of(end) < _order_of(self.last_id):  # a stream that is gone begins with larger ids
            back = self._newest_left(end)
            _LOG.warning("stream_rewound", stream=self._keys.stream, read=self.last_id, back=back)
            self.last_id = back
        self._looked_at_end_s = self._clock()

    def _lies_elsewhere(self, record: object) -> bool:
        """Whether the install has the stream in another shard; what is lost or junk is the dispatchers' matter."""
        with suppress(RecordError):
            return isinstance(record, bytes) and self._keys != StreamKeys.of(
                self._keys.stream, Install.parse(record).shards
            )
        return False

    def _newest_left(self, end: str) -> str:
        """The newest of what was read that the server has yet, or where reading began."""
        for entry_id in reversed(self._read_ids):
            if _order_of(entry_id) <= _order_of(end):
                left: Any = self._client.xrevrange(self._keys.outcomes, entry_id, entry_id, count=1)
                if left:
                    return entry_id
        first = self._read_ids[0]
        return first if _order_of(first) <= _order_of(end) else _NOTHING

    def _sit_out(self, error: redis.RedisError, left_s: float | None) -> None:
        delay_s = self._backoff.next_delay_s()
        if left_s is not None and left_s <= delay_s:
            raise error
        self.reconnects += 1
        self._looked_at_end_s = -math.inf
        self._client.close()
        _LOG.warning("reconnecting", redis=redact(self._url), cause=words_of(error), next_try_s=round(delay_s, 2))
        time.sleep(delay_s)


def parse_entry(fields: dict[bytes, bytes], tables: LabelTableSource = general_tables_alone) -> Outcome:
    """One entry of an ``out`` stream, with all outputs of a frame that this build can read.

    Raises:
        LabelTablesMissing: a small mask whose label tables are not to be had.
        RecordError: a field is missing, or its body cannot be read.
    """
    kind, body = fields.get(KIND_FIELD), fields.get(PACKET_FIELD)
    if kind is None or body is None:
        raise RecordError(f"an outcome without its fields k and p; it has {sorted(fields)[:8]}")
    if kind != MASK:
        return outcome_from_json(kind, body)
    made = ResultPacket.parse(body) if is_result(body) else MaskPacket.parse(body, tables)
    further = _further(fields)
    return replace(made, further=further) if further else made


def _further(fields: Mapping[bytes, bytes]) -> tuple[OutputPacket, ...]:
    """The outputs after the first. One that cannot be read costs itself alone: others may know more kinds."""
    found = []
    for field, data in fields.items():
        if field.startswith(OUTPUT_FIELD):
            try:
                found.append(OutputPacket.parse(field, data))
            except RecordError as error:
                _LOG.warning("output_unreadable", field=field.decode(errors="replace"), error=str(error))
    return tuple(found)


def _first_id(client: redis.Redis, key: str, from_id: str) -> str:
    if from_id != "$":
        if not _ENTRY_ID.fullmatch(from_id):
            raise ServiceError(f'from_id {from_id!r}: it is "$", "0" or an entry id as in last_id')
        return from_id
    return _end_of(client, key)


def _end_of(client: redis.Redis, key: str) -> str:
    """The newest id that a stream has given out."""
    if not client.exists(key):
        return _NOTHING
    info: Any = client.xinfo_stream(key)
    return bytes(info["last-generated-id"]).decode()


def _order_of(entry_id: str) -> tuple[int, int]:
    milliseconds, _, count = entry_id.partition("-")
    return int(milliseconds), int(count or 0)
