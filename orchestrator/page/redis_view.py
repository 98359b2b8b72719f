"""What the page asks of Redis. It only reads; every script is flagged so, and touches one shard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from msgspec.structs import replace

from narrows.client.registry.camera_masks import FleetCameraMasks, read_camera_masks
from narrows.client.subscription.label_tables import LabelTableCache
from narrows.contract.errors import RecordError, StreamIdInvalid
from narrows.contract.outputs.objects import KIND as OBJECTS
from narrows.contract.schedule import Explanation
from narrows.contract.wire import Install, MaskPacket, ResultPacket, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import PACKET_FIELD, check_stream_id, parse_feature_key, shard_of
from narrows.contract.wire.output_packet import OUTPUT_FIELD, OutputPacket
from narrows.contract.wire.result import is_result
from narrows.runtime.redis import connect, named_errors, read_install

_STREAMS_A_CALL = 250
_OBJECTS = OUTPUT_FIELD + OBJECTS.encode()
_LETTERS_A_SHARD = 256


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a stream stands.

    Attributes:
        waiting: frames without an end.
        last_ms: when the last one came, the server's clock; 0 for never.
        arrived: how many ever came.
        masks, skipped, refused, lost: how they ended, as its ledger has it.
        ended: all of these that had come.
    """

    waiting: int
    last_ms: int
    arrived: int
    masks: int
    ended: int
    skipped: int
    refused: int
    lost: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a frame of a stream was refused, and when (server's clock)."""

    stream: str
    reason: str
    detail: str
    at_ms: int


class RedisView:
    """Blocking reads, for a thread. Each raises ``ServiceError`` where Redis is away or refuses."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = connect(url, no_evict=True)
        self._install: Install | None = None
        self._pulse = self._client.register_script(_script("pulse.lua"))
        self._newest = self._client.register_script(_script("newest.lua"))
        self._plans = self._client.register_script(_script("plans.lua"))
        self._letters_after: dict[int, str] = {}
        self._tables = LabelTableCache(self._client)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def time_ms(self) -> float:
        """The server's clock, Unix milliseconds."""
        with named_errors(self._url):
            seconds, micros = self._as_any(self._client.time())
            return int(seconds) * 1000 + int(micros) / 1000

    def settings(self) -> dict[str, StreamSettings | None]:
        """Every stream that is registered or has sent a frame; ``None`` for settings that are absent or unreadable."""
        found: dict[str, StreamSettings | None] = {}
        with named_errors(self._url):
            self._install = read_install(self._client)  # another, where Redis was emptied
            for key in self._client.scan_iter(match="narrows:{*}:in:*", count=1000, _type="stream"):
                if (stream := self._stream_of(key)) is not None:
                    found[stream] = None
            for shard in range(self._shards()):
                records: Any = self._client.hgetall(ShardKeys(shard).streams)
                found |= _parse_settings(records)
        return found

    def camera_masks(self) -> FleetCameraMasks:
        """What each stream sends, as the dispatchers report."""
        with named_errors(self._url):
            return read_camera_masks(self._client)

    def pulses(self, streams: Iterable[str]) -> dict[str, Pulse]:
        """How each of these streams stands."""
        found: dict[str, Pulse] = {}
        with named_errors(self._url):
            for some in self._by_shard(streams):
                keys = [key for each in some for key in (each.features, each.ledger)]
                for each, raw in zip(some, json.loads(self._as_any(self._pulse(keys))), strict=True):
                    found[each.stream] = _pulse(raw)
        return found

    def letters(self) -> list[DeadLetter]:
        """Refusals since the last call, oldest first; at first the newest that are kept."""
        found: list[DeadLetter] = []
        with named_errors(self._url):
            for shard in range(self._shards()):
                after = self._letters_after.get(shard)
                low = "-" if after is None else f"({after}"
                entries: Any = self._client.xrevrange(ShardKeys(shard).dead, "+", low, count=_LETTERS_A_SHARD)
                if entries:
                    self._letters_after[shard] = entries[0][0].decode()
                found += (_letter(entry, fields) for entry, fields in reversed(entries))
        return found

    def newest_masks(self, known: Mapping[str, str]) -> dict[str, tuple[str, MaskPacket | ResultPacket]]:
        """The newest mask of each stream with its entry id, where that is another than the known one ('' for none).

        A frame without a label map has a result: of a camera that sends what it outlines alone, its objects.
        """
        found: dict[str, tuple[str, MaskPacket | ResultPacket]] = {}
        with named_errors(self._url):
            for some in self._by_shard(known):
                answers: Any = self._newest([each.outcomes for each in some], [known[each.stream] for each in some])
                for each, answer in zip(some, answers, strict=True):
                    if answer and (mask := self._mask(*answer[1:])) is not None:
                        found[each.stream] = answer[0].decode(), mask
        return found

    def newest_plans(self, known: Mapping[str, str]) -> dict[str, tuple[str, Explanation]]:
        """What each camera with a split network said last of its design, with the entry id; as :meth:`newest_masks`."""
        found: dict[str, tuple[str, Explanation]] = {}
        with named_errors(self._url):
            for some in self._by_shard(known):
                answers: Any = self._plans([each.plan for each in some], [known[each.stream] for each in some])
                for each, answer in zip(some, answers, strict=True):
                    with suppress(RecordError):  # what a camera writes costs its neighbours nothing
                        if answer:
                            found[each.stream] = answer[0].decode(), Explanation.parse(answer[1])
        return found

    def mask_at(self, stream: str, entry: str) -> MaskPacket | ResultPacket | None:
        """The mask of one entry; ``None`` if it is gone."""
        with named_errors(self._url):
            key = StreamKeys.of(stream, self._shards()).outcomes
            entries: Any = self._client.xrange(key, entry, entry)
            fields = entries[0][1] if entries else {}
            return self._mask(fields.get(PACKET_FIELD, b""), *filter(None, [fields.get(_OBJECTS)])) if fields else None

    def _mask(self, data: bytes, *objects: bytes) -> MaskPacket | ResultPacket | None:
        self._tables.learn([data])
        try:
            mask = ResultPacket.parse(data) if is_result(data) else MaskPacket.parse(data, self._tables)
            return replace(mask, further=tuple(OutputPacket.parse(_OBJECTS, each) for each in objects))
        except RecordError:
            return None

    def _shards(self) -> int:
        if self._install is None:
            self._install = read_install(self._client)
        return self._install.shards

    def _stream_of(self, key: bytes) -> str | None:
        """The stream of a feature key; ``None`` for one that no dispatcher would read."""
        try:
            shard, stream = parse_feature_key(key)
        except StreamIdInvalid:
            return None
        return stream if shard == shard_of(stream, self._shards()) else None

    def _by_shard(self, streams: Iterable[str]) -> Iterator[Sequence[StreamKeys]]:
        shards: dict[int, list[StreamKeys]] = {}
        for stream in streams:
            keys = StreamKeys.of(stream, self._shards())
            shards.setdefault(keys.shard, []).append(keys)
        for members in shards.values():
            for begin in range(0, len(members), _STREAMS_A_CALL):
                yield members[begin : begin + _STREAMS_A_CALL]

    @staticmethod
    def _as_any(reply: object) -> Any:  # noqa: ANN401  the client's types allow for its asynchronous twin
        return reply


def _script(name: str) -> str:
    return files(__package__).joinpath("lua", name).read_text()


def _parse_settings(records: Mapping[bytes, bytes]) -> dict[str, StreamSettings | None]:
    found: dict[str, StreamSettings | None] = {}
    for name, record in records.items():
        try:
            stream = check_stream_id(name.decode("utf-8", "replace"))
        except StreamIdInvalid:
            continue
        try:
            found[stream] = StreamSettings.parse(record)
        except RecordError:
            found[stream] = None
    return found


def _pulse(raw: Sequence[Any]) -> Pulse:
    waiting, last, arrived, masks, skipped, refused, lost, outside = raw
    return Pulse(
        waiting=int(waiting),
        last_ms=int(str(last).partition("-")[0] or 0),
        arrived=int(arrived),
        masks=int(masks),
        ended=int(masks) + int(skipped) + int(refused) + int(outside),
        skipped=int(skipped),
        refused=int(refused) + int(outside),
        lost=int(lost),
    )


def _letter(entry: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    def text(name: bytes) -> str:
        return fields.get(name, b"").decode("utf-8", "replace")

    return DeadLetter(text(b"stream"), text(b"reason"), text(b"detail"), int(entry.partition(b"-")[0]))
