"""What each stream sends, as the dispatchers last reported: features, or masks that the camera makes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from narrows.contract.errors import RecordError
from narrows.contract.records.report import MOST_NAMED_STREAMS, CameraMasks, DispatcherReport, is_fresh
from narrows.contract.wire.keys import ScaleKeys


class Sent(StrEnum):
    """What a stream's latest frames were."""

    FEATURES = "features"
    MASKS = "masks"
    AUDITED = "audited"
    """Masks, and with some of them the features that the cloud compares them with."""


@dataclass(frozen=True, slots=True)
class FleetCameraMasks:
    """Of all dispatchers together; ``all_named`` is false where there are more than they name, or none reports."""

    made: frozenset[str] = frozenset()
    audited: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    all_named: bool = False

    def sent(self, stream: str) -> Sent | None:
        """What a stream that sends frames sends; ``None`` where nobody says it."""
        if stream in self.audited:
            return Sent.AUDITED
        if stream in self.made:
            return Sent.MASKS
        return Sent.FEATURES if self.all_named else None


def together(reports: Iterable[CameraMasks]) -> FleetCameraMasks:
    """What the dispatchers that report say."""
    found = list(reports)
    return FleetCameraMasks(
        made=frozenset(stream for each in found for stream in each.made),
        audited=frozenset(stream for each in found for stream in each.audited),
        asked=frozenset(stream for each in found for stream in each.asked),
        all_named=bool(found) and all(len(each.made) < MOST_NAMED_STREAMS for each in found),
    )


def read_camera_masks(client: redis.Redis) -> FleetCameraMasks:
    """As the dispatchers that reported of late say; a report that cannot be read is left out.

    Raises:
        RedisError: Redis refuses.
    """
    stored: Any = client.hgetall(ScaleKeys.REPORTS)
    answer: Any = client.time()
    now_ms = int(answer[0]) * 1000 + int(answer[1]) // 1000
    found = []
    for record in stored.values():
        with suppress(RecordError):
            report = DispatcherReport.parse(record)
            if is_fresh(report.at_ms, now_ms):
                found.append(report.camera_masks)
    return together(found)
