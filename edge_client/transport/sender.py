"""The transport as the pipeline sees it: packets in, the control record out, and whether the link keeps up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from threading import Event

import structlog

from edge_client.encode.coding import KeyframeTriggers
from edge_client.rate.backpressure import Room
from edge_client.rate.governor import Governor
from edge_client.settings import EdgeSettings
from edge_client.spool import Spool
from edge_client.stats import Tally
from edge_client.transport.install import wait_for_install
from edge_client.transport.line import Line
from edge_client.transport.link import ANSWER_S, AWAY_S, connect
from edge_client.transport.outbox import Fate, Outbox, Outgoing
from edge_client.transport.questions import Answers, Plan, Questions, Stills
from edge_client.transport.remembered import Remembered
from edge_client.transport.server_clock import ServerClockEstimate
from edge_client.transport.spooled_outbox import SPOOL_DAMAGED, SpooledOutbox
from edge_client.transport.uplink import About, FeatureStream, Uplink
from edge_client.transport.uplink_thread import UplinkThread
from narrows.contract.records.prompts import PromptList
from narrows.contract.wire import Control, Install, StreamKeys
from narrows.contract.wire.frame_packet import FORMAT

_LOG = structlog.get_logger("edge")
_HELD_BACK_S = 0.1
"""How long a frame that is due waits for the link before it is held back."""
WAITING_FOR_INSTALL = "waiting_for_install"


@dataclass(frozen=True)
class Sender:
    """Packets to Redis, by a thread of its own.

    Attributes:
        keeps_all: packets are given up for no age, so a link that is behind holds nothing back.
        spools: they go to disk, so frames are taken before it is known where they go.
        install, listed: the install record and the list of prompts, as this run or the one before read them last.
    """

    outbox: Outbox
    thread: UplinkThread
    triggers: KeyframeTriggers
    keeps_all: bool
    spools: bool
    install: Remembered[Install]
    listed: Remembered[PromptList]

    @property
    def questions(self) -> Questions | None:
        """What Redis answered; ``None`` until it is known where the stream lies."""
        return None if self.thread.uplink is None else self.thread.uplink.questions

    @property
    def trouble(self) -> str | None:
        """Why Redis takes no packets; ``None`` while it does."""
        return WAITING_FOR_INSTALL if self.thread.uplink is None else self.thread.uplink.trouble

    @property
    def control(self) -> Control | None:
        """The newest control record."""
        return None if self.questions is None else self.questions.control

    @property
    def prompts(self) -> PromptList:
        """What an operator points at, as it was last heard."""
        return self.listed.record or PromptList() if self.questions is None else self.questions.prompts

    def server_ms(self, own_ms: float) -> float:
        """The server's clock, when this machine's says ``own_ms``; the same as long as nothing better is known."""
        return own_ms if self.questions is None else self.questions.server_ms(own_ms)

    @property
    def packet_format(self) -> int:
        """The newest packet format that this build writes and every dispatcher reads."""
        if self.questions is not None:
            return min(FORMAT, self.questions.newest_packet_format)
        install = self.install.record
        return 1 if install is None else min(FORMAT, install.newest_packet_format)

    @property
    def sent_or_hopeful(self) -> int:
        """Packets of this run that were sent, wait or are in flight: all but those given up."""
        return self.outbox.sent_or_hopeful

    def keeps_up(self, patience_s: float | None) -> bool:
        """Whether what was coded before is on its way, so that one more would not have to wait until it is old."""
        if self.thread.uplink is None and not self.spools:
            self.thread.opened.wait(_HELD_BACK_S)
            return self.thread.uplink is not None
        if patience_s is None or self.keeps_all:
            return True
        return self.outbox.wait_younger(patience_s, _HELD_BACK_S)

    def keyframe_wanted(self, session: int) -> bool:
        """Whether the next packet must be a K: the cloud asks for one, the camera had a gap, or the chain is broken."""
        return self.triggers.new(self.control, session) or self.outbox.chain_broken

    def put(self, outgoing: Outgoing) -> None:
        """Queue a packet."""
        self.outbox.put(outgoing)

    def start(self) -> None:
        """Begin to send."""
        self.thread.start()

    def check(self) -> None:
        """Raise what ended the thread, if this machine's fault did."""
        self.thread.check()

    def wait_empty(self, timeout_s: float) -> bool:
        """Whether all packets were settled within ``timeout_s``."""
        return self.outbox.wait_empty(timeout_s)

    def stop(self, flush_s: float) -> None:
        """Send what waits for so long at most, then end the thread; what is left is given up or stays in the spool."""
        self.outbox.wait_empty(flush_s)
        self.thread.halt()


@contextmanager
def open_sender(
    settings: EdgeSettings,
    fate: Fate,
    governor: Governor,
    tally: Tally,
    beat: Callable[[], None],
    found: Callable[[StreamKeys], None] = lambda _: None,
    answers: Answers | None = None,
    plan: Plan | None = None,
    stills: Stills | None = None,
) -> Iterator[Sender]:
    """The transport of the settings; nothing is asked or sent before :meth:`Sender.start`.

    Where the stream lies is for the operator or the install record to say. Until that was read, frames go to the spool
    where there is one, and are held back where there is none.

    Args:
        settings: what Redis, and what becomes of packets that it does not take.
        fate: told what became of each packet.
        governor: told of acknowledgements and round trips.
        tally: told of failures of the link.
        beat: called once a round of the thread.
        found: told where the stream lies.
        answers: what is said of prompts.
        plan: what is said of the design in use.
        stills: who lets still pictures out.

    Raises:
        ServiceError: the address of Redis cannot be read.
        StateError: the spool cannot be used.
    """
    connect(settings.redis_url).close()
    with ExitStack() as exits:
        spool = exits.enter_context(closing(_spool(settings, tally))) if settings.spool_mb else None
        outbox = _outbox(settings, fate, spool)
        known = Remembered(settings.state_folder / "install.json", Install)
        listed = Remembered(settings.state_folder / "prompts.json", PromptList)

        def open_uplink(halted: Event) -> Uplink | None:
            install = None if settings.shards else _ask_for_install(settings, halted, beat)
            shards = settings.shards if install is None else install.shards
            if shards is None:
                return None
            if install is not None:
                known.remember(install)
            keys = StreamKeys.of(settings.stream, shards)
            found(keys)
            room = None if spool is None else Room(keys.features, settings.maxlen)
            clock = ServerClockEstimate(time.monotonic, time.time)
            questions = Questions(
                keys,
                clock,
                tally,
                time.monotonic,
                room,
                install=install,
                learned=known.remember,
                listed=listed,
                answers=answers,
                plan=plan,
                stills=stills,
            )
            client = connect(settings.redis_url, away_s=None if settings.keeps_all else AWAY_S, key=keys.features)
            line = Line[About](client, ANSWER_S, time.monotonic)
            stream = FeatureStream(keys.features, settings.maxlen)
            return Uplink(line, stream, outbox, questions, governor, tally)

        thread = UplinkThread(open_uplink, outbox, beat)
        yield Sender(outbox, thread, KeyframeTriggers(), settings.keeps_all, spool is not None, known, listed)


def _ask_for_install(settings: EdgeSettings, halted: Event, beat: Callable[[], None]) -> Install | None:
    with closing(connect(settings.redis_url)) as client:
        return wait_for_install(client, halted, beat)


def _spool(settings: EdgeSettings, tally: Tally) -> Spool:
    limit_bytes = int(settings.spool_mb * 1e6)

    def lost(frames: int) -> None:
        tally.dropped(SPOOL_DAMAGED, frames)

    spool = Spool(settings.state_folder / "spool", limit_bytes, settings.spool_keep, time.monotonic, lost)
    tally.resumed(spool.resumed)
    if spool.resumed:
        _LOG.info("spool_resumed", frames=spool.resumed, bytes=spool.size_bytes)
    return spool


def _outbox(settings: EdgeSettings, fate: Fate, spool: Spool | None) -> Outbox:
    if spool is not None:
        return SpooledOutbox(settings.queue, fate, spool)
    return Outbox(settings.queue, fate, most_age_s=math.inf if settings.keeps_all else settings.max_age_s)
