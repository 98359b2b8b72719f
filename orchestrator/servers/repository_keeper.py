"""The model repository of a supervisor's own follows the heads of its bundles, which come and go while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.runtime.head_watch import HeadWatch
from narrows.runtime.reminder import Reminder

_log = structlog.get_logger(__name__)
_LOOK_S = 1.0


class RepositoryKeeper:
    """Fills the repository again when a bundle's heads changed; dispatchers then have the servers load the model."""

    def __init__(self, bundles: Sequence[Bundle], fill: Callable[[Bundle], object]) -> None:
        """Begin with bundles that were filled in already.

        Args:
            bundles: whose folders are looked at.
            fill: writes one into the repository; raises ``ServiceError``, then it is tried again.
        """
        self._watches = [HeadWatch(bundle) for bundle in bundles]
        self._fill = fill
        self._owed: set[int] = set()
        self._reminder = Reminder()

    async def run(self) -> None:
        """Look every second; does not return."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Look once, and fill in what changed or could not be written before."""
        for watch in self._watches:
            if await watch.look():
                self._owed.add(watch.bundle.id)
            if watch.bundle.id in self._owed:
                await self._renew(watch.bundle)

    async def _renew(self, bundle: Bundle) -> None:
        try:
            await asyncio.to_thread(self._fill, bundle)
        except ServiceError as error:
            if self._reminder.due(str(error)):
                _log.warning("repository_unwritable", bundle=bundle.hex_id, error=str(error))
            return
        self._owed.discard(bundle.id)
        self._reminder.over()
        _log.info("repository_filled", bundle=bundle.hex_id, heads=[head.name for head in bundle.heads.heads])
