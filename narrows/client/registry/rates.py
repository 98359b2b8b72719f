"""Which streams offer most, lose most and have clocks ahead, as the dispatchers last reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import redis

from narrows.contract.errors import RecordError
from narrows.contract.wire.keys import ScaleKeys

if TYPE_CHECKING:
    from narrows.contract.records.report import StreamRates


def top_streams(client: redis.Redis) -> dict[str, StreamRates]:
    """The first streams of every dispatcher that reported of late, by name; a report that cannot be read is left out.

    Raises:
        RedisError: Redis refuses.
        ModuleNotFoundError: the orchestrator is not installed, as in a camera's image.
    """
    stored: Any = client.hgetall(ScaleKeys.REPORTS)
    seconds, micros = _time(client)
    return {rates.stream: rates for rates in _fresh(stored, seconds * 1000 + micros // 1000)}


def by_rate(rates: Iterable[StreamRates], name: str) -> list[StreamRates]:
    """Those whose rate of that name (``offered_per_s``, say) is not 0, the highest first."""
    rate = attrgetter(name)
    return sorted((each for each in rates if rate(each) > 0), key=lambda each: (-rate(each), each.stream))


def _fresh(stored: Mapping[bytes, bytes], now_ms: int) -> Iterable[StreamRates]:
    from narrows.contract.records.report import DispatcherReport, is_fresh  # noqa: PLC0415 - not in a camera's image

    for record in stored.values():
        with suppress(RecordError):
            report = DispatcherReport.parse(record)
            if is_fresh(report.at_ms, now_ms):
                yield from report.top_streams


def _time(client: redis.Redis) -> tuple[int, int]:
    answer: Any = client.time()
    return int(answer[0]), int(answer[1])
