"""Ending frames: one server-side step each, many in one round trip."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from narrows.backoff import Backoff
from narrows.errors import FrameRefused, ServiceError
from narrows.wire.feature import FrameIdentity
from narrows.wire.keys import GROUP
from narrows.wire.outcome import MASK, REFUSED, SKIPPED, Refusal, Skip, outcome_to_json
from orchestrator.dispatch.scripts import FINISH, Script
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.store import Reply, ReplyRefused, Store, cause_of
from orchestrator.dispatch.stream import Frame
from orchestrator.dispatch.window import epoch_field
from orchestrator.faults import Faults

_LAST_TRY_CODES = frozenset({"ERR", "WRONGTYPE"})
_MAX_PIPELINE = 128
_PAUSES_S = (0.05, 1.0)


class Verdict(StrEnum):
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


@dataclass(frozen=True, slots=True)
class Ending:
    """How a frame ends: its outcome's kind and body, the reason unless it is a mask, its identity if it has a place."""

    kind: bytes
    body: bytes
    reason: str = ""
    detail: str = ""
    identity: FrameIdentity | None = None

    @classmethod
    def mask(cls, body: bytes, identity: FrameIdentity) -> Ending:
        """With a mask."""
        return cls(MASK, body, identity=identity)

    @classmethod
    def skipped(cls, reason: str, identity: FrameIdentity) -> Ending:
        """Without the network, by policy."""
        return cls(SKIPPED, outcome_to_json(Skip(identity, reason)), reason, identity=identity)

    @classmethod
    def refused(cls, refusal: FrameRefused, identity: FrameIdentity | None, *, placed: bool = True) -> Ending:
        """For a named reason; ``placed`` is false if its identity has no place in the stream's sequence."""
        detail = str(refusal)
        body = outcome_to_json(Refusal(refusal.reason, detail, identity))
        return cls(REFUSED, body, refusal.reason, detail, identity if placed else None)


@dataclass(slots=True)
class _Asked:
    frame: Frame
    ending: Ending
    answer: asyncio.Future[tuple[Verdict, int]]
    sent: bool = False


class Finisher:
    """Collects endings while a round trip is under way and sends them in the next, in the order in which they came."""

    def __init__(self, store: Store, settings: DispatchSettings, faults: Faults) -> None:
        self._store, self._faults = store, faults
        self._settings = settings
        self._asked: asyncio.Queue[_Asked] = asyncio.Queue()

    async def finish(self, frame: Frame, ending: Ending) -> tuple[Verdict, int]:
        """End a frame; answers the verdict and how many frames were found lost by it.

        A server that is away is waited for: the script is safe to repeat.

        Raises:
            ServiceError: the server refuses this ending for good.
        """
        asked = _Asked(frame, ending, asyncio.get_running_loop().create_future())
        self._asked.put_nowait(asked)
        frame.in_line.set()
        return await asked.answer

    async def run(self) -> None:
        """Send what is asked for, for ever."""
        while True:
            batch = [await self._asked.get()]
            while not self._asked.empty() and len(batch) < _MAX_PIPELINE:
                batch.append(self._asked.get_nowait())
            await self._send_until_settled(batch)

    async def _send_until_settled(self, batch: list[_Asked]) -> None:
        backoff = Backoff(*_PAUSES_S)
        while True:
            batch = await self._send(batch)
            if not batch:
                return
            await asyncio.sleep(backoff.next_delay_s())

    async def _send(self, batch: list[_Asked]) -> list[_Asked]:
        """One round trip; answers what must be asked again."""
        batch = [asked for asked in batch if not _fenced_here(asked)]
        try:
            replies = await self._store.run_many([self._call(asked) for asked in batch])
        except ServiceError as error:
            self._faults.begin(cause_of(error), f"finishing waits: {error}")
            for asked in batch:
                asked.sent = True
            return batch
        return [asked for asked, reply in zip(batch, replies, strict=True) if not self._settle(asked, reply)]

    def _call(self, asked: _Asked) -> tuple[Script, list[str], list[str | bytes | int]]:
        frame, ending, settings = asked.frame, asked.ending, self._settings
        stream, place = frame.stream, ending.identity
        keys = stream.keys
        return (
            FINISH,
            [stream.shard_keys.fence, keys.features, keys.outcomes, keys.seen, keys.ledger, stream.shard_keys.dead],
            [
                stream.lease.token,
                GROUP,
                frame.entry.id,
                ending.kind,
                ending.body,
                ending.reason,
                "" if place is None else epoch_field(place.epoch),
                "" if place is None else place.sequence,
                settings.retention,
                settings.retention_s * 1000,
                settings.dead_letters,
                stream.id,
                ending.detail,
                frame.head,
                frame.size_bytes,
                frame.deliveries,
            ],
        )

    def _settle(self, asked: _Asked, reply: Reply) -> bool:
        """Pass a reply on; false if the server should be asked again."""
        if isinstance(reply, ReplyRefused):
            if reply.code not in _LAST_TRY_CODES:
                self._faults.begin(cause_of(reply), f"finishing waits: {reply}")
                return False
            if not asked.answer.done():
                asked.answer.set_exception(reply)
            return True
        verdict, lost = Verdict(reply[0].decode()), int(reply[1])
        if asked.sent and verdict is Verdict.AGAIN:
            verdict = Verdict.FINISHED  # the reply to an earlier try was lost on its way
        if not asked.answer.done():
            asked.answer.set_result((verdict, lost))
        return True


def _fenced_here(asked: _Asked) -> bool:
    """Answer without a round trip where we know that the shard is no longer ours."""
    if asked.frame.stream.lease.lost and not asked.answer.done():
        asked.answer.set_result((Verdict.FENCED, 0))
    return asked.answer.done()
