"""One camera as its dispatcher sees it: what is held of it, and in which order its frames end."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msgspec import Struct

from narrows.contract.bundle import SplitBundle
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.keys import ShardKeys, StreamKeys
from narrows.contract.wire.streams import StreamSettings
from narrows.runtime.redis.store import RawEntry
from orchestrator.dispatch.contexts import ContextCache
from orchestrator.dispatch.endings import Ending
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.window import SeenWindow

_LATEST = 32


@dataclass(slots=True)
class UnderWay:
    """What of a shard is in this process: frames that are held, and tasks that work on them.

    A shard that is given up cancels the tasks.
    """

    frames: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done, beside all else."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


@dataclass(eq=False)
class Stream:
    """A stream of a shard that this process owns.

    Attributes:
        recover_idle_ms: pending entries that idle so long must be claimed before anything new is read; ``None``: none.
        held: the frames of it in this process, by entry id.
        under_way: those of its shard's streams, and the tasks that work on them.
        undecoded: those of them that were not taken up yet, in their order.
        decoding: one of them is being taken up, and whoever does that goes on with the next.
        unasked: those of them whose end was not asked for yet, in the order in which they must end.
        seen: the window of ended identities as Redis last had it.
        drained_s: when it was last read to its end.
        contexts: what its packets of format 2 may name.
        chain_read: the chain that an earlier owner left was looked for.
        drained_ms: the same by the server's clock as it was set then.
        read_to: the last entry that was read here, as Redis orders ids.
        active_s: when its last frame came.
        taken_in: frames that were taken in here so far, forged ones left out.
        forged, trimmed: entries whose id Redis did not give, and entries that were trimmed unread, so far.
        skipped, clocks_ahead: frames that were skipped, and those captured ahead of the server's clock, so far.
        isolations: how often it had to be read apart from its neighbours.
        makes_masks, outputs: whether its latest frame was its own mask, and what that frame's bundle answers with.
        audited_s: when its last mask came together with its features.
        able: it makes masks if it is asked; said with each packet that begins a context.
        asked_for_masks: it is asked to.
        skipped_share: share of its latest frames that came too late for the network, 0 to 1.
        split: the bundle that its latest frame named, if that is a split network's.
        wanted, answered: frames of split networks that wanted each tail so far, and those that it answered, by the
            tail's hexadecimal id.
        rests_until_s: it is not read before, monotonic: Redis refused to end its frames.
    """

    keys: StreamKeys
    lease: Lease
    references: ReferenceCache
    settings: StreamSettings
    recover_idle_ms: int | None = 0
    held: dict[bytes, Frame] = field(default_factory=dict)
    under_way: UnderWay = field(default_factory=UnderWay)
    undecoded: deque[Frame] = field(default_factory=deque)
    decoding: bool = False
    unasked: deque[Frame] = field(default_factory=deque)
    seen: SeenWindow = field(default_factory=SeenWindow)
    drained_s: float = -math.inf
    drained_ms: float = -math.inf
    read_to: tuple[int, int] = (0, 0)
    active_s: float = -math.inf
    taken_in: int = 0
    forged: int = 0
    trimmed: int = 0
    skipped: int = 0
    clocks_ahead: int = 0
    isolations: int = 0
    skipped_share: float = 0.0
    makes_masks: bool = False
    outputs: int = 1
    audited_s: float = -math.inf
    able: bool = False
    asked_for_masks: bool = False
    split: SplitBundle | None = None
    wanted: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    rests_until_s: float = -math.inf
    chain_read: bool = False
    contexts: ContextCache = field(default_factory=ContextCache)

    @property
    def id(self) -> str:
        """The stream's id."""
        return self.keys.stream

    @property
    def shard_keys(self) -> ShardKeys:
        """The keys of its shard."""
        return ShardKeys(self.keys.shard)

    @cached_property
    def finishing_keys(self) -> tuple[str, ...]:
        """What the finishing script may touch for a frame, in its order."""
        keys, shard = self.keys, self.shard_keys
        own = keys.features, keys.outcomes, keys.seen, keys.ledger
        return (shard.fence, *own, shard.dead, keys.chain, keys.contexts)

    @property
    def floods(self) -> bool:
        """Whether it sends so much more than it can get that most of it is skipped."""
        return self.skipped_share > 0.5

    def rest(self, until_s: float) -> None:
        """Leave it alone for a while; then begin with what is pending, as if it were new here."""
        self.rests_until_s = until_s
        self.recover_idle_ms = 0

    def doubt(self) -> None:
        """Forget what Redis was known to hold: it may have lost its last second, or be another."""
        self.seen, self.drained_s, self.drained_ms, self.read_to = SeenWindow(), -math.inf, -math.inf, (0, 0)
        self.contexts.doubt()
        self.chain_read = False  # frames that come back are older than the references that are cached here

    def count_end(self, *, skipped: bool) -> None:
        """One more frame ended."""
        self.skipped += skipped
        self.skipped_share += (skipped - self.skipped_share) / _LATEST

    def take_in(self, entry: RawEntry, deliveries: int, taken: Taken) -> Frame:
        """Hold a frame; it is decoded, and will end, after those that were taken in before."""
        frame = Frame(self, entry, deliveries, taken)
        self.under_way.frames += entry.id not in self.held
        self.held[entry.id] = frame
        self.undecoded.append(frame)
        self.unasked.append(frame)
        self.taken_in += taken.forged is None
        self.forged += taken.forged is not None
        return frame

    def begin_decoding(self) -> bool:
        """Whether it is now with whoever asked to take its frames up: nobody else is at it."""
        free, self.decoding = not self.decoding, True
        return free

    def next_undecoded(self) -> Frame | None:
        """The next frame to take up, for who is at it; with ``None`` nobody is at it any more."""
        if self.undecoded:
            return self.undecoded.popleft()
        self.decoding = False
        return None

    def endings_due(self) -> Iterator[tuple[Frame, Ending]]:
        """Frames whose end can be asked for now, each once, in order: none before them waits for its ending still."""
        while self.unasked and (self.unasked[0].gone or self.unasked[0].ending is not None):
            frame = self.unasked.popleft()
            if frame.ending is not None and not frame.gone:
                yield frame, frame.ending

    def let_go(self, frame: Frame) -> None:
        """Hold a frame no longer."""
        frame.gone = True
        if self.held.get(frame.entry.id) is frame:
            del self.held[frame.entry.id]
            self.under_way.frames -= 1

    def let_all_go(self) -> None:
        """Hold none of its frames any longer: whatever was asked for them, nobody waits for the answer."""
        for frame in (*self.held.values(), *self.unasked):
            frame.gone = True
        self.under_way.frames -= len(self.held)
        self.held.clear()
        self.undecoded.clear()
        self.unasked.clear()


class Taken(Struct, frozen=True):
    """When an entry came, as far as its id can be believed: with one ahead of the clock, when it was read.

    Attributes:
        arrived_ms: when Redis took it, Unix milliseconds of its clock.
        arrived_s: the same on this process's monotonic clock: ages are measured there.
        read_s: when it was read, on that clock.
        forged: why its id is none that Redis gave.
    """

    arrived_ms: float
    arrived_s: float
    read_s: float
    forged: str | None = None

    def waited_s(self, now_s: float) -> float:
        """How long it has been here at a time of this process's clock, which may have been read before it came."""
        return max(0.0, now_s - self.arrived_s)


@dataclass(eq=False, slots=True)
class Frame:
    """An entry on its way through this process.

    Attributes:
        deliveries: how often it was taken up, this time too.
        gone: it is held no longer: it ended, or is left to whoever takes it up next.
        ending: how it ends, once that is known.
        asked_s: when its end was asked for, monotonic.
        identity: known once its packet is parsed.
        context: that its packet carried, once the packet is believed.
        link: ``key`` or ``next`` once it was decoded and others of a `complete` stream may be coded against it.
        camera_mask: the camera made its mask itself.
        window_read: what Redis has of its stream's ended frames was read for it.
    """

    stream: Stream
    entry: RawEntry
    deliveries: int
    taken: Taken
    gone: bool = False
    ending: Ending | None = None
    asked_s: float = 0.0
    identity: FrameIdentity | None = None
    link: str = ""
    camera_mask: bool = False
    window_read: bool = False
    context: bytes = b""
    size_bytes: int = 0
    head: bytes = b""

    @property
    def claimed(self) -> bool:
        """Whether someone took it up before."""
        return self.deliveries > 1
