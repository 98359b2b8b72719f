"""What the dispatchers say of themselves, as far as it is fresh."""

from __future__ import annotations

import structlog

from narrows.contract.errors import RecordError
from narrows.contract.records.report import DispatcherReport, is_fresh
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store

_log = structlog.get_logger(__name__)
DEAD_MS = 60_000


class Reports:
    """Reads the reports; a stale one is ignored, one that is older than a minute is removed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unreadable: set[bytes] = set()

    async def read(self) -> list[DispatcherReport]:
        """The fresh reports.

        Raises:
            ServiceError: Redis is away, or refuses.
        """
        stored, now_ms = await self._store.hash_of(ScaleKeys.REPORTS), await self._store.time_ms()
        self._unreadable &= stored.keys()
        parsed = {name: report for name, data in stored.items() if (report := self._parse(name, data)) is not None}
        if dead := [name for name, report in parsed.items() if not is_fresh(report.at_ms, now_ms, DEAD_MS)]:
            await self._store.call("HDEL", ScaleKeys.REPORTS, *dead)
        return [report for report in parsed.values() if is_fresh(report.at_ms, now_ms)]

    def _parse(self, name: bytes, data: bytes) -> DispatcherReport | None:
        try:
            return DispatcherReport.parse(data)
        except RecordError as error:
            if name not in self._unreadable:
                self._unreadable.add(name)
                _log.warning("report_unreadable", dispatcher=name.decode("utf-8", "replace"), error=str(error))
            return None
