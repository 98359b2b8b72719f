"""One camera as its dispatcher sees it: what is held of it, and in which order its frames end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from narrows.wire.feature import FrameIdentity
from narrows.wire.keys import ShardKeys, StreamKeys
from narrows.wire.streams import StreamSettings
from orchestrator.dispatch.lease import Lease
from orchestrator.dispatch.planes import Planes
from orchestrator.dispatch.store import RawEntry
from orchestrator.dispatch.window import SeenWindow

_LATEST = 32


@dataclass(eq=False)
class Stream:
    """A stream of a shard that this process owns.

    Attributes:
        recover_idle_ms: pending entries that idle so long must be claimed before anything new is read; ``None``: none.
        held: the frames of it in this process, by entry id.
        seen: the window of ended identities as Redis last had it.
        drained_s: when it was last read to its end.
        active_s: when its last frame came.
        taken_in: frames that were taken in here so far.
        isolations: how often it had to be read apart from its neighbours.
        skipped_share: share of its latest frames that came too late for the network, 0 to 1.
        rests_until_s: it is not read before, monotonic: Redis refused to end its frames.
    """

    keys: StreamKeys
    lease: Lease
    planes: Planes
    settings: StreamSettings
    recover_idle_ms: int | None = 0
    held: dict[bytes, Frame] = field(default_factory=dict)
    seen: SeenWindow = field(default_factory=SeenWindow)
    drained_s: float = float("-inf")
    active_s: float = float("-inf")
    taken_in: int = 0
    isolations: int = 0
    skipped_share: float = 0.0
    rests_until_s: float = float("-inf")
    decoding: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: Frame | None = None

    @property
    def id(self) -> str:
        """The stream's id."""
        return self.keys.stream

    @property
    def shard_keys(self) -> ShardKeys:
        """The keys of its shard."""
        return ShardKeys(self.keys.shard)

    @property
    def floods(self) -> bool:
        """Whether it sends so much more than it can get that most of it is skipped."""
        return self.skipped_share > 0.5

    def rest(self, until_s: float) -> None:
        """Leave it alone for a while; then begin with what is pending, as if it were new here."""
        self.rests_until_s = until_s
        self.recover_idle_ms = 0

    def count_end(self, *, skipped: bool) -> None:
        """One more frame ended."""
        self.skipped_share += (skipped - self.skipped_share) / _LATEST

    def take_in(self, entry: RawEntry, deliveries: int, read_ms: float) -> Frame:
        """Hold a frame; it will end after those that were taken in before."""
        frame = Frame(self, entry, deliveries, read_ms, self.last.in_line if self.last else None)
        self.held[entry.id] = frame
        self.taken_in += 1
        self.last = frame
        return frame

    def let_go(self, frame: Frame) -> None:
        """Hold a frame no longer; the next may end."""
        self.held.pop(frame.entry.id, None)
        frame.in_line.set()
        if self.last is frame:
            self.last = None


@dataclass(eq=False, slots=True)
class Frame:
    """An entry on its way through this process.

    Attributes:
        deliveries: how often it was taken up, this time too.
        in_line: set when the frame's end was asked for, so that the next one's is asked for after it.
        identity: known once its packet is parsed.
    """

    stream: Stream
    entry: RawEntry
    deliveries: int
    read_ms: float
    before: asyncio.Event | None
    in_line: asyncio.Event = field(default_factory=asyncio.Event)
    identity: FrameIdentity | None = None
    size_bytes: int = 0
    head: bytes = b""

    @property
    def claimed(self) -> bool:
        """Whether someone took it up before."""
        return self.deliveries > 1

    async def turn(self) -> None:
        """Wait until the end of the frame before it in its stream was asked for."""
        if self.before is not None:
            await self.before.wait()
            self.before = None
