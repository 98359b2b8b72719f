"""Ending frames: one server-side step each, many in one round trip."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from msgspec.structs import replace

from narrows.contract.errors import OutcomeRefused, ServiceError
from narrows.contract.wire.keys import GROUP
from narrows.contract.wire.outcome import REFUSED
from narrows.runtime.backoff import Backoff
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.script import Script
from narrows.runtime.redis.store import Reply, ReplyRefused, Store, within
from orchestrator.dispatch.contexts import MOST_CONTEXTS
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.outermost import Outermost
from orchestrator.dispatch.scripts import FINISH
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Frame
from orchestrator.dispatch.window import epoch_field
from orchestrator.telemetry.faults import Faults, cause_of

_MAX_PIPELINE = 128
_MOST_A_CALL, _MOST_CALL_BYTES = 16, 1 << 18
"""Frames of one call of the script, and of their bodies: half a millisecond in which the server does nothing else."""
MOST_CHAIN_PACKETS = 512
"""Kept of a `complete` stream between two key frames: 17 s at 30 frames/s, where cameras send one every 10 s."""
MOST_CHAIN_PACKET_BYTES = 4096
"""Several times what a packet has; so a camera keeps 2 MB at the most."""
_PAUSES_S = (0.05, 1.0)
_BREAKS_ALONE = 3
"""A connection may break once for a reason of its own; not thrice over one ending to a server that answers between."""


class FinishReply(StrEnum):
    """What the script answered."""

    FINISHED = "finished"
    DUPLICATE = "duplicate"
    """The identity had ended before; this entry was removed and counted."""
    AGAIN = "again"
    """This very entry had ended before; nothing was changed."""
    FENCED = "fenced"
    """The shard belongs to another; nothing was changed."""
    JUMP = "jump"
    STALE = "stale"


class Ended(NamedTuple):
    """What became of an ending: the verdict, frames found lost by it, and the ending that was written at last."""

    verdict: FinishReply
    lost: int
    ending: Ending


Tell = Callable[[Frame, Ended | Exception], None]
"""Is told once what became of a frame's ending, unless the frame is gone by then."""


@dataclass(slots=True)
class _Asked:
    frame: Frame
    ending: Ending
    tell: Tell
    told: bool = False
    sent: bool = False
    waits: bool = False
    breaks: int = 0
    refused: bool = False
    alone: bool = False

    def leave_out_outputs(self) -> None:
        """End it with its label map alone."""
        self.ending = replace(self.ending, outputs=())
        self.sent, self.breaks = False, 0

    def refuse(self, cause: str) -> None:
        """End it by a refusal that says why the server takes no other ending, in the same place of the order."""
        self.refused, self.sent, self.breaks = True, False, 0
        refusal = OutcomeRefused(f"{self.ending.size_bytes} bytes of {self.ending.kind.decode()}: {cause}")
        self.ending = Ending.refused(refusal, self.ending.identity or self.frame.identity, placed=self.placed)

    @property
    def placed(self) -> bool:
        """Whether its identity has a place in the stream's sequence."""
        return self.ending.identity is not None

    def settle(self, ended: Ended | Exception) -> None:
        """Tell what became of it."""
        if not (self.told or self.frame.gone):
            self.told = True
            self.tell(self.frame, ended)


class Finisher:
    """Collects endings while a round trip is under way and sends them in the next, in the order in which they came.

    Those of shards that may be on different nodes of a cluster do not wait for each other.

    ::

        batch ─ send ─┬─ replies ───── each: done | asked again (the server takes it later)
                      │                    | refused (``ERR``: these bytes) | raised (its stream's keys are amiss)
                      └─ broken ─ PING ─┬─ no answer: all wait
                                        └─ answer: halves, in order; one that breaks it alone is refused
    """

    def __init__(self, store: Store, settings: DispatchSettings, faults: Faults) -> None:
        self._store, self._faults = store, faults
        self._settings = settings
        self._asked: dict[int, asyncio.Queue[_Asked]] = {}
        self._begun: asyncio.Queue[asyncio.Queue[_Asked]] = asyncio.Queue()
        self._refused_bytes = math.inf

    def finish(self, frame: Frame, ending: Ending, tell: Tell) -> None:
        """End a frame, behind those that were to end before.

        A server that is away is waited for: the script is safe to repeat. An ending that the server will never take is
        given again without its outputs after the first; a mask beyond its limits is replaced by a refusal of that name.
        Errors that ``tell`` is told:
        :class:`ReplyRefused`, where the stream's keys are not what they should be and nothing was changed;
        :class:`StoreAway`, where the server breaks the connection over the refusal too.
        """
        order = self._store.order_of(frame.stream.keys.features)
        if order not in self._asked:
            self._begun.put_nowait(self._asked.setdefault(order, asyncio.Queue()))
        self._asked[order].put_nowait(_Asked(frame, ending, tell))

    async def run(self) -> None:
        """Send what is asked for, for ever."""
        async with asyncio.TaskGroup() as tasks:
            begun, self._begun = list(self._asked.values()), asyncio.Queue()
            while True:
                for each in begun:
                    tasks.create_task(self._send_in_turn(each))
                begun = [await self._begun.get()]

    async def _send_in_turn(self, queue: asyncio.Queue[_Asked]) -> None:
        while True:
            batch = [await queue.get()]
            # What else is ready comes first: nothing if the loop is idle; if it is busy, another batch's ends, say.
            await asyncio.sleep(0)
            while not queue.empty() and len(batch) < _MAX_PIPELINE:
                batch.append(queue.get_nowait())
            with Outermost(batch, _settle_all):
                await self._send_until_settled(batch)

    async def _send_until_settled(self, batch: list[_Asked]) -> None:
        """All of them, in order, however often it takes."""
        backoff, parts = Backoff(*_PAUSES_S), self._apart(batch)
        while parts:
            part = parts.pop()
            try:
                left = await self._send(part)
                waits = any(asked.waits for asked in left)
                parts += [left] if left else []
            except ServiceError as error:
                waits = not await self._store.answers(part[0].frame.stream.keys.features)
                if waits:
                    self._faults.begin(cause_of(error), f"finishing waits: {error}")
                parts += [part] if waits else self._after_break(part, error)
            if waits:
                await asyncio.sleep(backoff.next_delay_s())

    def _apart(self, batch: list[_Asked]) -> list[list[_Asked]]:
        """What is sent together, the first at the end: what is as large as what was refused before goes alone."""
        parts: list[list[_Asked]] = [[]]
        for asked in batch:
            if asked.ending.size_bytes >= self._refused_bytes:
                parts += [[asked], []]
            else:
                parts[-1].append(asked)
        return [part for part in reversed(parts) if part]

    async def _send(self, batch: list[_Asked]) -> list[_Asked]:
        """One round trip; answers what must be asked again.

        Raises:
            ServiceError: the connection broke, or could not be made.
        """
        batch[:] = [asked for asked in batch if not _fenced_here(asked)]
        calls = _calls_of(batch)
        try:
            replies = await self._store.run_many([self._call(call) for call in calls])
        except ServiceError:
            for asked in batch:
                asked.sent = True
            raise
        return [asked for call, reply in zip(calls, replies, strict=True) for asked in self._settle_call(call, reply)]

    def _after_break(self, batch: list[_Asked], error: ServiceError) -> list[list[_Asked]]:
        """What to send next, the first at the end, after a server that lives broke the connection over a batch.

        It may have done so for one ending: too large for ``proto-max-bulk-len``, or for a client's buffer or memory. It
        says so at best, and that reply is lost with the connection more often than not.
        """
        if len(batch) > 1:
            half = len(batch) // 2
            return [batch[half:], batch[:half]]
        for asked in batch:
            asked.breaks += 1
            known = asked.ending.size_bytes >= self._refused_bytes
            if (known or asked.breaks >= _BREAKS_ALONE) and not self._refuse(asked, error):
                return []
        return [batch] if batch else []

    def _refuse(self, asked: _Asked, error: ServiceError) -> bool:
        """End a frame otherwise whose ending is never taken: without its outputs after the first, then by name.

        False if even the refusal is not taken, and the frame is left pending.
        """
        if asked.refused:
            asked.settle(error)
            return False
        self._refused_bytes = min(self._refused_bytes, asked.ending.size_bytes)
        if asked.ending.outputs and asked.ending.alone:
            asked.leave_out_outputs()
        else:
            asked.refuse(str(error))
        return True

    def _call(self, call: list[_Asked]) -> tuple[Script, list[str], list[str | bytes | int]]:
        settings, first = self._settings, call[0].frame.stream
        of_all: list[str | bytes | int] = [
            first.lease.token,
            GROUP,
            settings.retention,
            settings.retention_s * 1000,
            settings.dead_letters,
            MOST_CHAIN_PACKETS,
            MOST_CHAIN_PACKET_BYTES,
            MOST_CONTEXTS,
            settings.retention_bytes,
        ]
        keys: list[str] = []
        for asked in call:
            keys += asked.frame.stream.finishing_keys
            of_all += _of_each(asked)
        return FINISH, keys, of_all

    def _settle_call(self, call: list[_Asked], reply: Reply) -> list[_Asked]:
        """Pass each frame's reply on; answers what should be asked again.

        What is refused as a whole was refused before anything was changed, and one frame's keys may be to blame.
        """
        if not isinstance(reply, ReplyRefused):
            replies = within(reply)
        elif len(call) > 1 and reply.remedy is Remedy.NONE:
            for asked in call:
                asked.alone, asked.waits = True, False
            return call
        else:
            replies = [reply] * len(call)
        return [asked for asked, each in zip(call, replies, strict=True) if not self._settle(asked, each)]

    def _settle(self, asked: _Asked, reply: Reply) -> bool:
        """Pass a reply on; false if the server should be asked again."""
        asked.waits = False
        if isinstance(reply, ReplyRefused):
            return self._settle_refused(asked, reply)
        if asked.ending.size_bytes >= self._refused_bytes:
            self._refused_bytes = math.inf  # it takes more by now
        verdict, lost = FinishReply(reply[0].decode()), int(reply[1])
        if asked.sent and verdict is FinishReply.AGAIN:
            verdict = FinishReply.FINISHED  # the reply to an earlier try was lost on its way
        asked.settle(Ended(verdict, lost, asked.ending))
        return True

    def _settle_refused(self, asked: _Asked, reply: ReplyRefused) -> bool:
        if reply.remedy is not Remedy.NONE:
            self._faults.begin(cause_of(reply), f"finishing waits: {reply}")
            asked.waits = True
            return False
        if reply.code == "ERR":
            return not self._refuse(asked, reply)
        asked.settle(reply)
        return True


def _settle_all(batch: list[_Asked], error: Exception) -> None:
    for asked in batch:
        asked.settle(error)


def _calls_of(batch: list[_Asked]) -> list[list[_Asked]]:
    """What one call of the script ends, each in the order of the batch: frames of one shard under one token."""
    calls: list[list[_Asked]] = []
    latest: dict[int, list[_Asked]] = {}
    sizes: dict[int, int] = {}
    for asked in batch:
        lease, size = id(asked.frame.stream.lease), asked.ending.size_bytes
        call = latest.get(lease)
        full = call is None or len(call) == _MOST_A_CALL or sizes[lease] + size > _MOST_CALL_BYTES
        if call is None or full or asked.alone or call[0].alone:
            call = latest[lease] = []
            calls.append(call)
            sizes[lease] = 0
        call.append(asked)
        sizes[lease] += size
    return calls


def _of_each(asked: _Asked) -> tuple[str | bytes | int, ...]:
    frame, ending = asked.frame, asked.ending
    place = ending.identity
    return (
        frame.entry.id,
        ending.kind,
        ending.body,
        ending.reason,
        "" if place is None else epoch_field(place.epoch),
        "" if place is None else place.sequence,
        frame.stream.id,
        ending.detail,
        frame.head if ending.kind == REFUSED else b"",
        frame.size_bytes,
        frame.deliveries,
        frame.link,
        frame.context,
        2 * len(ending.outputs),
        *(part for output in ending.outputs for part in output),
    )


def _fenced_here(asked: _Asked) -> bool:
    """Settle without a round trip where we know that the shard is no longer ours."""
    if asked.frame.stream.lease.lost:
        asked.settle(Ended(FinishReply.FENCED, 0, asked.ending))
    return asked.told or asked.frame.gone
