"""The label tables of small masks: read from Redis when an id is met that is not here, and kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import redis

from narrows.contract.bundle import format_id
from narrows.contract.codec import LabelTables, general_label_tables
from narrows.contract.errors import BundleError, LabelTablesMissing
from narrows.contract.wire.keys import LABEL_TABLES_KEY
from narrows.contract.wire.mask import label_tables_of
from narrows.runtime.redis.replies import Remedy, code_of, remedy_of, words_of

_MOST_TABLES = 32  # of about 8 KB, a hundred with what the kernel makes of them
_MOST_BYTES = 1 << 20


class LabelTableCache:
    """A source of label tables for ``MaskPacket.parse``.

    Example:
        >>> tables = LabelTableCache(client)
        >>> tables.learn([body])
        >>> mask = MaskPacket.parse(body, tables)
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        general = general_label_tables()
        self._general = general
        self._known: OrderedDict[int, LabelTables] = OrderedDict()
        self._missing: dict[int, str] = {}

    def learn(self, packets: Iterable[bytes]) -> None:
        """Ask Redis for the tables that mask packets need and are not here.

        Raises:
            RedisError: the server is away.
        """
        wanted = {table_id for data in packets if (table_id := label_tables_of(data)) is not None}
        self._missing.clear()
        for table_id in wanted - self._known.keys() - {self._general.id}:
            self._ask(table_id)

    def __call__(self, table_id: int) -> LabelTables:
        """The tables of an id.

        Raises:
            LabelTablesMissing: they are not here; the message says why.
        """
        if table_id == self._general.id:
            return self._general
        tables = self._known.get(table_id)
        if tables is None:
            why = self._missing.get(table_id, "nobody asked for them")
            raise LabelTablesMissing(f"a mask packed with label tables {format_id(table_id)}: {why}")
        return tables

    def _ask(self, table_id: int) -> None:
        try:
            data: Any = self._client.hget(LABEL_TABLES_KEY, format_id(table_id))
        except redis.RedisError as error:
            not_allowed = code_of(error) == "NOPERM"
            if not not_allowed and remedy_of(error) is not Remedy.NONE:
                raise
            remedy = "renew Redis's users (`narrows secrets`)" if not_allowed else "delete it, it is written again"
            self._missing[table_id] = f"{LABEL_TABLES_KEY} cannot be read ({words_of(error)}): {remedy}"
            return
        found = _read(table_id, data)
        if isinstance(found, str):
            self._missing[table_id] = found
            return
        self._known[table_id] = found
        while len(self._known) > _MOST_TABLES:
            self._known.popitem(last=False)


def _read(table_id: int, data: bytes | None) -> LabelTables | str:
    """The tables, or why there are none."""
    name = f"{LABEL_TABLES_KEY} {format_id(table_id)}"
    if data is None:
        return f"{name} is not in Redis; a dispatcher that serves their bundle writes it: start one, then read again"
    if len(data) > _MOST_BYTES:
        return f"{name} has {len(data)} bytes, more than any label tables: delete the field"
    try:
        tables = LabelTables.parse(data)
    except BundleError as error:
        return f"{name} holds no label tables ({error}): delete the field, dispatchers write it again"
    if tables.id != table_id:
        return f"{name} holds other tables ({format_id(tables.id)}): delete the field, dispatchers write it again"
    return tables
