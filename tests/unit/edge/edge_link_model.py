"""A link in a fake time: a queue of a given rate, a way back and forth, segments that are lost; cameras that share it.

What it leaves out (slow start, the window, acknowledgements that are lost) a batch of a few packets seldom meets.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_client.encode.packet_sizes import FRAMING_BYTES
from edge_client.rate.goodput import Delivery
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from narrows.contract.bundle import Manifest
from narrows.contract.wire import Control

MOST_AGE_S = 0.6
_PROBE_PERIOD_S = 1.0
_QUESTION_BYTES = 80
_POLL_S = 0.01
_RETRANSMISSION_S = 0.3


@dataclass
class Link:
    """``rate`` gives bytes a second at a time; 0 is an outage. One queue for all cameras.

    ``burst_bytes`` pass at once where the link was idle for long enough, as through a token bucket.
    """

    rate: Callable[[float], float]
    one_way_s: float = 0.02
    loss: float = 0.0
    random: random.Random = field(default_factory=lambda: random.Random(1))
    free_s: float = 0.0
    burst_bytes: float = 0.0

    def __post_init__(self) -> None:
        self.tokens_bytes, self.counted_s = self.burst_bytes, 0.0

    def answered_s(self, size_bytes: float, now_s: float) -> float:
        """When the answer to so many bytes is there, if none of those before it is late."""
        at_s, left = max(now_s, self.free_s), size_bytes - self._spent(size_bytes, now_s)
        while left > 0:
            passed = self.rate(at_s) * 0.01
            at_s += 0.01 if passed < left else 0.01 * left / passed
            left -= passed
        self.free_s = at_s
        lost_s = _RETRANSMISSION_S + 2 * self.one_way_s if self.random.random() < self.loss else 0.0
        return at_s + lost_s + 2 * self.one_way_s

    def _spent(self, size_bytes: float, now_s: float) -> float:
        """Bytes that pass at once; the bucket fills while nothing else is on the link."""
        idle_s = max(0.0, now_s - max(self.counted_s, self.free_s))
        self.tokens_bytes = min(self.burst_bytes, self.tokens_bytes + idle_s * self.rate(now_s))
        self.counted_s = now_s
        spent = min(self.tokens_bytes, size_bytes)
        self.tokens_bytes -= spent
        return spent


@dataclass(frozen=True)
class InFlight:
    """A packet on its way, or (``size`` 0) a question."""

    coded_s: float
    sent_s: float
    answered_s: float
    size: int
    level: int


@dataclass
class Sent:
    """A frame that arrived: how old it was then, its level and when."""

    at_s: float
    age_s: float
    level: int


@dataclass
class SimulatedCamera:
    """The pipeline's and the uplink's loops, told by events instead of threads."""

    manifest: Manifest
    own: Choice
    link: Link
    adaptive: bool = True
    now_s: float = 0.0
    control: Control | None = None
    sent: list[Sent] = field(default_factory=list)
    choices: list[tuple[float, Choice]] = field(default_factory=list)
    waiting: deque[tuple[float, int, int]] = field(default_factory=deque)
    flight: deque[InFlight] = field(default_factory=deque)
    taken: int = 0
    probe_due_s: float = 0.0

    def __post_init__(self) -> None:
        self.governor = Governor(self.manifest, self.own, adaptive=self.adaptive, monotonic_s=lambda: self.now_s)
        self.sizes = [round(level.bits_per_pixel * 480 * 360 / 8) for level in self.manifest.levels]

    def frame_due(self, now_s: float) -> float:
        """Code a frame if the governor lets; answers when the next is due."""
        self.now_s = now_s
        choice = self.governor.choose(self.control)
        self.choices.append((now_s, choice))
        self._shed()
        coded = [*(each.coded_s for each in self.flight if each.size), *(coded_s for coded_s, _, _ in self.waiting)]
        patience_s = self.governor.patience_s
        if patience_s is None or not coded or now_s - coded[0] <= patience_s:
            self.taken += 1
            size = self.sizes[choice.level] + (self.taken * 37) % 60 - 30
            self.governor.coded(choice.level, size, 0.03)
            self.waiting.append((now_s, size, choice.level))
        else:
            self.governor.held_back()
        return now_s + 1.0 / choice.frames_per_s

    def send(self, now_s: float) -> list[float]:
        """Put on the link what may go; answers when each is acknowledged."""
        self.now_s = now_s
        self._shed()
        before = len(self.flight)
        if now_s >= self.probe_due_s:
            self.probe_due_s = now_s + _PROBE_PERIOD_S
            self._go(now_s, 0, 0)
        while self.waiting and sum(self._on_link(each) for each in self.flight) <= self.governor.window_bytes:
            self._go(*self.waiting.popleft())
        return [each.answered_s for each in list(self.flight)[before:]]

    def _go(self, coded_s: float, size: int, level: int) -> None:
        answered_s = self.link.answered_s(size + FRAMING_BYTES if size else _QUESTION_BYTES, self.now_s)
        if self.flight:  # TCP hands over in order
            answered_s = max(answered_s, self.flight[-1].answered_s)
        self.flight.append(InFlight(coded_s, self.now_s, answered_s, size, level))

    @staticmethod
    def _on_link(each: InFlight) -> int:
        return each.size + FRAMING_BYTES if each.size else 0

    def acknowledged(self, now_s: float) -> None:
        """What was on its way arrived."""
        self.now_s = now_s
        arrived = []
        while self.flight and self.flight[0].answered_s <= now_s:
            each = self.flight.popleft()
            if each.size:
                arrived.append(each)
            else:
                self.governor.probed(now_s - each.sent_s)
        if arrived:
            size = sum(self._on_link(each) for each in arrived)
            self.governor.delivered(Delivery(arrived[0].coded_s, arrived[0].sent_s, now_s, size))
            self.sent += [Sent(now_s, now_s - each.coded_s, each.level) for each in arrived]

    def _shed(self) -> None:
        while self.waiting and self.waiting[0][0] < self.now_s - MOST_AGE_S:
            self.waiting.popleft()


def play(cameras: list[SimulatedCamera], length_s: float) -> None:
    """Let the cameras send over their links for so long."""
    events: list[tuple[float, int, str, int]] = []
    order = 0

    def push(at_s: float, what: str, camera: int) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (at_s, order, what, camera))

    for number in range(len(cameras)):
        push(0.013 * number, "frame", number)
        push(0.013 * number, "look", number)
    while events and events[0][0] < length_s:
        now_s, _, what, number = heapq.heappop(events)
        camera = cameras[number]
        if what == "frame":
            push(camera.frame_due(now_s), "frame", number)
            continue
        if what == "ack":
            camera.acknowledged(now_s)
        else:
            push(now_s + _POLL_S, "look", number)
        for answered_s in camera.send(now_s):
            push(answered_s, "ack", number)
