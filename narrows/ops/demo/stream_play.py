"""One stream while it plays: its account, and the figures that people look at."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from narrows.client.subscription import Outcome
from narrows.contract.records.frame_journal import JournalLine
from narrows.contract.wire import FrameIdentity, MaskPacket
from narrows.models.evaluation import ConfusionMatrix
from narrows.ops.demo.account import StreamAccount
from narrows.ops.demo.overlays import OverlayWriter
from narrows.ops.demo.reel import Reel

_RECENT_S = 5.0


@dataclass
class StreamPlay:
    """What is known of one stream so far. Masks wait until the journal says which picture they show.

    Attributes:
        latencies_ms: from capture to the mask's arrival at the subscriber, both by this machine's clock.
        sent_bytes: whole FeaturePackets that Redis took.
        masked_bytes, pixels: whole FeaturePackets that ended in a scored mask, and those masks' pixels.
    """

    stream: str
    reel: Reel
    matrix: ConfusionMatrix
    overlays: OverlayWriter
    clock: Callable[[], float] = time.time
    account: StreamAccount = field(default_factory=StreamAccount)
    latencies_ms: array[float] = field(default_factory=lambda: array("d"))
    sent_bytes: int = 0
    masked_bytes: int = 0
    pixels: int = 0
    first_capture_ms: int = 0
    last_capture_ms: int = 0
    _names: dict[FrameIdentity, str] = field(default_factory=dict)
    _unnamed: dict[FrameIdentity, MaskPacket] = field(default_factory=dict)
    _recent_s: deque[float] = field(default_factory=deque)
    _first_s: float = 0.0
    _last_s: float = 0.0

    def journal(self, line: JournalLine) -> None:
        """The camera sent a frame, or gave it up."""
        self.account.journal(line.identity, line.reason, own=line.made_its_mask)
        if line.reason is None:
            self.sent_bytes += line.size_bytes
            self.first_capture_ms = self.first_capture_ms or line.capture_ms
            self.last_capture_ms = line.capture_ms
        if (mask := self._unnamed.pop(line.identity, None)) is not None:
            self._score(mask, line.name)
        elif not self.account.has_ended(line.identity):
            self._names[line.identity] = line.name

    def outcome(self, outcome: Outcome, received_ms: float) -> None:
        """A frame ended."""
        if not self.account.outcome(outcome) or outcome.identity is None:
            return
        name = self._names.pop(outcome.identity, None)
        if not isinstance(outcome, MaskPacket):
            return
        self.latencies_ms.append(received_ms - outcome.capture_ms)
        self._last_s = received_ms / 1000
        self._first_s = self._first_s or self._last_s
        self._recent_s.append(self._last_s)
        if name is None:
            self._unnamed[outcome.identity] = outcome
        else:
            self._score(outcome, name)

    def _score(self, mask: MaskPacket, name: str) -> None:
        sample = self.reel.sample(name)
        self.matrix.update(sample.labels, mask.labels)
        self.pixels += mask.labels.size
        self.masked_bytes += mask.feature_bytes
        self.overlays.offer(sample, mask)

    @property
    def frames_per_s(self) -> float:
        """Masks a second over the last few seconds."""
        now_s = self.clock()
        while self._recent_s and self._recent_s[0] < now_s - _RECENT_S:
            self._recent_s.popleft()
        if len(self._recent_s) < 2:
            return 0.0
        return (len(self._recent_s) - 1) / max(1e-9, self._recent_s[-1] - self._recent_s[0])

    @property
    def frames_per_s_over_all(self) -> float:
        """Masks a second between the first and the last."""
        span_s = self._last_s - self._first_s
        return (len(self.latencies_ms) - 1) / span_s if span_s > 0 else 0.0

    @property
    def kbit_per_s(self) -> float:
        """The rate on the uplink: bits of a mean frame times frames a second between first and last capture."""
        span_s = (self.last_capture_ms - self.first_capture_ms) / 1000
        frames = len(self.account.sent)
        if frames < 2 or span_s <= 0:
            return 0.0
        return self.sent_bytes * 8 / frames * ((frames - 1) / span_s) / 1000

    def latency_ms(self, percentile: float) -> float:
        """A percentile of the end-to-end latency; NaN before the first mask."""
        return float(np.percentile(self.latencies_ms, percentile)) if self.latencies_ms else float("nan")
