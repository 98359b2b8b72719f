"""The label tables that small masks are packed with, published by id for those who read such masks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from narrows.contract.bundle import AnyBundle, format_id
from narrows.contract.codec import LabelTables, general_label_tables
from narrows.contract.errors import ServiceError
from narrows.contract.wire.keys import LABEL_TABLES_KEY
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.telemetry.faults import Cause, Faults

_log = structlog.get_logger(__name__)


def tables_of(bundle: AnyBundle) -> LabelTables:
    """What a bundle's masks are packed with: its own tables, or the general ones."""
    return bundle.label_tables or general_label_tables()


class LabelTableRecords:
    """Keeps the tables of the bundles that are served in Redis: one that was emptied gets them back.

    Attributes:
        published: they were there when they were looked for last; masks are not packed small before.
    """

    def __init__(self, store: Store, bundles: Iterable[AnyBundle], faults: Faults, period_s: float) -> None:
        found = [general_label_tables(), *map(tables_of, bundles)]
        self.published = False
        self._tables = {format_id(tables.id).encode(): tables.to_bytes() for tables in found}
        self._store, self._faults, self._period_s = store, faults, period_s

    async def run(self) -> None:
        """Look for them for ever; a Redis that is away is asked again."""
        while True:
            try:
                await self.keep()
            except ServiceError as error:
                self.published = False
                _log.debug("label_tables_write_failed", error=str(error))
            await asyncio.sleep(self._period_s)

    async def keep(self) -> None:
        """Write those that are not there.

        Raises:
            ServiceError: Redis is away.
        """
        try:
            there = await self._store.call("HKEYS", LABEL_TABLES_KEY)
            missing = [part for table_id in self._tables.keys() - there for part in (table_id, self._tables[table_id])]
            if missing:
                await self._store.call("HSET", LABEL_TABLES_KEY, *missing)
            self.published = True
        except ReplyRefused as refused:
            self.published = False
            if refused.remedy is not Remedy.NONE:
                raise
            self._faults.happened(Cause.REDIS_REFUSES, f"masks are packed fast, for {LABEL_TABLES_KEY}: {refused}")
