"""The main thread's loop: a frame when it is due, if the link keeps up, from the source to the outbox."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event

from edge_client.capture.camera_watch import CameraWatch
from edge_client.capture.pacer import Pacer
from edge_client.capture.sources import CameraFrame, CameraSource
from edge_client.clock import unix_ms
from edge_client.encode.coding import FrameCoder, KeyframeTriggers
from edge_client.encode.encoder import OnnxEncoder
from edge_client.encode.sealing import Sealing
from edge_client.progress import Progress
from edge_client.rate.governor import Governor
from edge_client.sd_notify import READY, STOPPING, notify
from edge_client.settings import EdgeSettings
from edge_client.stats import Tally
from edge_client.transport.outbox import FrameRecord, Outbox, Outgoing
from edge_client.transport.questions import Questions
from edge_client.transport.uplink import Uplink
from edge_client.watchdog import Watchdog
from narrows.contract.wire import FrameIdentity, PacketKind

FLUSH_S = 1.6
"""After a request to stop; with what follows it keeps within two seconds."""
_DRAIN_POLL_S = 0.2
_HELD_BACK_S = 0.1
_MAIN_BEAT_S, _PAUSE_S = 30.0, 5.0


@dataclass(frozen=True)
class LoopWatch:
    """What says that the main loop goes round, and that pictures come."""

    watchdog: Watchdog
    camera: CameraWatch

    def beat(self) -> None:
        """Another round."""
        self.watchdog.beat("main", _MAIN_BEAT_S)

    def waits(self) -> None:
        """Another round without a picture."""
        self.beat()
        self.camera.waits()


@dataclass
class FrameLoop:
    """One run's parts, from the first frame to the last. It begins and ends the uplink's thread."""

    settings: EdgeSettings
    stop: Event
    source: CameraSource
    encoder: OnnxEncoder
    coder: FrameCoder
    governor: Governor
    epoch: int
    outbox: Outbox
    uplink: Uplink
    questions: Questions
    tally: Tally
    watch: LoopWatch
    sealing: Sealing | None = None
    sequence: int = 0
    key_requests: KeyframeTriggers = field(default_factory=KeyframeTriggers)
    pacer: Pacer = field(default_factory=lambda: Pacer(time.monotonic))
    progress: Progress = field(default_factory=lambda: Progress(time.monotonic))

    def play(self) -> None:
        """Send frames until there are no more to send, then what still waits."""
        self.uplink.start()
        notify(READY)
        try:
            while self._encode_until_enough():
                self._drain()
                if self._has_enough():
                    break
            self._drain()
        finally:
            notify(STOPPING)
            self.outbox.wait_empty(FLUSH_S)
            self.uplink.halt()

    def _encode_until_enough(self) -> bool:
        """Whether there is more to encode, should what waits be given up after all."""
        while not self._has_enough():
            rate = self.governor.choose(self.questions.control).frames_per_s
            if self._stopped_within(self.pacer.delay_s(rate)):
                return False
            if not self._link_keeps_up():
                self.governor.held_back()
                self._report()
                continue
            frame = self.source.read()
            if frame is None:
                self._report()
                return False
            self.watch.camera.saw(frame.picture)
            level = self.governor.choose(self.questions.control).level  # by what was acknowledged meanwhile
            self.outbox.put(self._encode(frame, FrameIdentity(self.epoch, self.sequence), level))
            self.sequence += 1
            self._report()
        return True

    def _link_keeps_up(self) -> bool:
        """Whether what was coded before is on its way, so that one more would not have to wait until it is old."""
        patience_s = self.governor.patience_s
        if patience_s is None or self.settings.keeps_all:
            return True
        return self.outbox.wait_younger(patience_s, _HELD_BACK_S)

    def _stopped_within(self, delay_s: float) -> bool:
        """Wait for the next frame's time, beating meanwhile."""
        while delay_s > _PAUSE_S and not self.stop.wait(_PAUSE_S):
            delay_s -= _PAUSE_S
            self.watch.beat()
        return self.stop.wait(delay_s)

    def _encode(self, frame: CameraFrame, identity: FrameIdentity, level: int) -> Outgoing:
        taken_s = time.monotonic() - max(0, unix_ms() - frame.capture_ms) * 1e-3
        begun_s = time.perf_counter()
        latent = self.encoder.latent(self.encoder.fit(frame.picture))
        inferred_s = time.perf_counter()
        key_wanted = self.key_requests.new(self.questions.control, frame.session) or self.outbox.chain_broken
        now_s = time.monotonic()
        coded = self.coder.packet(latent, level, identity, frame.capture_ms, now_s, key_wanted=key_wanted)
        packet = (coded if self.sealing is None else self.sealing.sealed(coded)).to_bytes()
        coded_s = time.perf_counter()
        network_s, coder_s = inferred_s - begun_s, coded_s - inferred_s
        self.tally.taken(network_s, coder_s)
        self.governor.coded(level, len(packet), network_s + coder_s)
        record = FrameRecord(
            sequence=identity.sequence,
            epoch=identity.epoch,
            name=frame.name,
            capture_ms=frame.capture_ms,
            size_bytes=len(packet),
            level=level,
            network_ms=network_s * 1e3,
            coder_ms=coder_s * 1e3,
            taken_s=taken_s,
        )
        return Outgoing(record, packet, predicted=coded.kind is PacketKind.PREDICTED)

    def _has_enough(self) -> bool:
        """Whether ``--frames`` will be met by what is sent and waiting: a frame that is given up is made up for."""
        return self.settings.frames is not None and self.outbox.sent_or_hopeful >= self.settings.frames

    def _report(self) -> None:
        self.watch.beat()
        self.uplink.check()
        befell = {"broken_off": self.source.broken_off, "unreadable": self.source.unreadable}
        self.tally.source(self.source.passed_over, self.pacer.behind_s, befell)
        self.progress.tick(self.tally.snapshot())

    def _drain(self) -> None:
        while not (self.stop.is_set() or self.outbox.wait_empty(_DRAIN_POLL_S)):
            self.watch.beat()
            self.uplink.check()
            self.progress.tick(self.tally.snapshot())
