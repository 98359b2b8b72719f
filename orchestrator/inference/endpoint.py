"""One server in a pool: whether it takes work, what it has of ours, and for how long it is left alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from narrows.contract.errors import ServiceError
from narrows.contract.records.report import ServerReport
from narrows.runtime.backoff import Backoff
from orchestrator.inference.contract import Decoder
from orchestrator.inference.cost import BatchTotals

_PAUSES_S = (0.1, 2.0)
_DOUBT_S = 1.0
_REFUSALS = 5


class ServerDecoder(Decoder, Protocol):
    """A decoder on one server, which can be measured.

    Attributes:
        heads_differ: the server answers with other heads than the bundle's.
    """

    heads_differ: bool

    async def instances(self) -> int:
        """How many instances run now.

        Raises:
            ServiceError: the server cannot be reached.
        """
        ...

    async def batch_totals(self) -> Mapping[int, BatchTotals]:
        """What each batch size has cost.

        Raises:
            ServiceError: the server cannot be reached.
        """
        ...


class Connection:
    """A decoder as long as it is connected, and the batches that it was lent for."""

    def __init__(self, decoder: ServerDecoder) -> None:
        self.decoder = decoder
        self.lent = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def lend(self) -> None:
        """One batch more."""
        self.lent += 1
        self._idle.clear()

    def give_back(self) -> None:
        """One batch less."""
        self.lent -= 1
        if not self.lent:
            self._idle.set()

    def abandon(self) -> None:
        """Wait for nothing more."""
        self._idle.set()

    async def until_idle(self) -> None:
        """Wait until it has no batch, or was abandoned."""
        await self._idle.wait()


class Endpoint:
    """A server's place in a pool.

    ::

        apart ── admit ──► in rotation, on probation ── a batch answered ──► in rotation
          ▲                        │                                           │
          └──────── lose ──────────┴───────────────── lose ────────────────────┘

    On probation it has one batch at a time. ``lose`` lengthens the time for which it is left alone, an answered batch
    makes that short again.

    Attributes:
        address: ``host:port``.
        connection: what batches go through; ``None`` while the server is apart.
        draining: it is given nothing new.
        instances: decoder instances there, as last seen.
        outstanding: frames that it has.
        turn: when it was last chosen, on the pool's count.
        frames, failures: frames answered and batches failed.
        error: why it is apart; ``None`` while it is not, and before the first try.
        told: whether the operator was told of that.
        changed: set at each change that whoever keeps it must see.
    """

    def __init__(self, address: str, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self.connection: Connection | None = None
        self.draining = False
        self.instances = 1
        self.outstanding = 0
        self.turn = 0
        self.frames = self.failures = 0
        self.error: ServiceError | None = None
        self.told = False
        self.changed = asyncio.Event()
        self._most, self._monotonic = most, monotonic
        self._backoff = Backoff(*_PAUSES_S)
        self._proven = False
        self._refusals = 0
        self._doubted_until_s = float("-inf")

    @property
    def in_rotation(self) -> bool:
        """Whether it takes work, now or once it has room."""
        return self.connection is not None and not self.draining

    @property
    def coming(self) -> bool:
        """Whether it was not tried yet, and will be."""
        return self.connection is None and self.error is None and not self.draining

    @property
    def room(self) -> bool:
        """Whether it may have one more batch: one more than its instances, so that the next is there when one ends."""
        if self.connection is None or self.draining:
            return False
        limit = min(self._most, max(1, self.instances) + 1) if self._proven else 1
        return self.connection.lent < limit

    @property
    def doubtful(self) -> bool:
        """Whether it failed a batch a moment ago."""
        return self._monotonic() < self._doubted_until_s

    def admit(self, connection: Connection, instances: int) -> None:
        """It is there."""
        self.connection, self.instances, self.error = connection, instances, None
        self._proven, self._refusals = False, 0
        self._doubted_until_s = float("-inf")

    def answered(self) -> None:
        """It answered a batch."""
        self._refusals = 0
        self._doubted_until_s = float("-inf")
        if not self._proven:
            self._proven, self.told = True, False
            self._backoff.reset()

    def refused(self) -> bool:
        """It failed a batch and lives; answers whether so many in a row that the frames cannot be to blame."""
        self._refusals += 1
        self._doubted_until_s = self._monotonic() + _DOUBT_S
        return self._refusals >= (_REFUSALS if self._proven else 1)

    def lose(self, error: ServiceError) -> None:
        """Leave it alone for a while."""
        self.connection, self.error = None, error
        self.changed.set()

    def pause_s(self) -> float:
        """For how long, this time."""
        return self._backoff.next_delay_s()

    def report(self) -> ServerReport:
        """How it stands."""
        return ServerReport(
            ready=self.in_rotation,
            ejected=self.connection is None and self.error is not None and not self.draining,
            draining=self.draining,
            outstanding=self.outstanding,
            frames=self.frames,
            failures=self.failures,
        )
