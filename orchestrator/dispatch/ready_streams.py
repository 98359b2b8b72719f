"""Which streams of a shard may hold entries that were not read, so that those alone are read.

A read costs Redis time for each stream that it names, whether anything waits there or not. So in a shard of many
streams Redis says which keys are written, as they are (:mod:`narrows.runtime.redis.tracking`); those are read, without
waiting. A message that is lost costs a look: housekeeping sees the length of each stream, and a new connection makes
every stream ready::

    written ───────────┐
    length > held ─────┼─► ready ─► read ─┬─ as much as one read may bring: ready again
    all, when it began ┘                  └─ less: read to its end
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import structlog

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.store import ReplyRefused, Store
from orchestrator.dispatch.stream import Stream

_log = structlog.get_logger(__name__)
_AGAIN_S, _AFTER_REFUSAL_S = 0.2, 60.0


class ReadyStreams:
    """The ready streams of one shard, those that are ready for the longest first.

    Attributes:
        followed: every write makes its stream ready; else any stream may have entries at any time.
    """

    def __init__(self, prefix: str, streams: Mapping[str, Stream], found: Callable[[], None]) -> None:
        """Of these ``streams``, whose keys begin with ``prefix``; ``found`` is told that another was written."""
        self.followed = False
        self._prefix, self._streams, self._found = prefix, streams, found
        self._ready: dict[Stream, None] = {}
        self._any = asyncio.Event()

    def __len__(self) -> int:
        """How many are ready."""
        return len(self._ready)

    def add(self, *streams: Stream) -> None:
        """These may hold entries that were not read."""
        self._ready.update(dict.fromkeys(streams))
        if self._ready:
            self._any.set()

    def add_all(self) -> None:
        """Any of them may."""
        self.add(*self._streams.values())

    def take(self, most: int) -> list[Stream]:
        """Take out those that are ready for the longest."""
        taken = list(islice(self._ready, most))
        for stream in taken:
            del self._ready[stream]
        if not self._ready:
            self._any.clear()
        return [stream for stream in taken if self._streams.get(stream.id) is stream]

    async def wait(self, most_s: float) -> None:
        """Wait until there is one, or for so long."""
        try:
            async with asyncio.timeout(most_s):
                await self._any.wait()
        except TimeoutError:
            return

    async def follow(self, store: Store, wanted: Callable[[], bool], refused: Callable[[ReplyRefused], None]) -> None:
        """Have Redis say what is written, for ever; while it does not, :attr:`followed` is false.

        Args:
            store: where the keys are.
            wanted: whether it shall be followed now.
            refused: is told where Redis does not say it; it is asked again now and then.
        """
        while True:
            pause_s = _AGAIN_S
            try:
                if wanted():
                    await store.follow_writes(self._prefix, self._written, wanted)
                    pause_s = 0.0
            except ReplyRefused as refusal:
                refused(refusal)
                pause_s = _AFTER_REFUSAL_S
            except ServiceError as error:
                _log.debug("writes_not_followed", prefix=self._prefix, error=str(error))
            finally:
                self.followed = False
            await asyncio.sleep(pause_s)

    def _written(self, keys: Sequence[bytes] | None) -> None:
        if keys is None:
            self.followed = True
            self.add_all()
            return
        written = self._of(keys)
        self.add(*written)
        if len(written) < len(keys):
            self._found()

    def _of(self, keys: Iterable[bytes]) -> list[Stream]:
        skip = len(self._prefix)
        named = (self._streams.get(key[skip:].decode("utf-8", "replace")) for key in keys)
        return [stream for stream in named if stream is not None]
