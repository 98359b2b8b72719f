"""A link in a fake time: a queue of a given rate, a way back and forth, segments that are lost; cameras that share it.

What it leaves out (slow start, the window, acknowledgements that are lost) a batch of a few packets seldom meets.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_client.goodput import Delivery
from edge_client.governor import Governor
from edge_client.packet_sizes import FRAMING_BYTES
from edge_client.steering import Choice
from narrows.bundle import Manifest
from narrows.wire import Control

MOST_AGE_S = 0.6
_PROBE_PERIOD_S = 1.0
_RETRANSMISSION_S = 0.3


@dataclass
class Link:
    """``rate`` gives bytes a second at a time; 0 is an outage. One queue for all cameras."""

    rate: Callable[[float], float]
    one_way_s: float = 0.02
    loss: float = 0.0
    random: random.Random = field(default_factory=lambda: random.Random(1))
    free_s: float = 0.0

    def round_trip_ends_s(self, size_bytes: float, now_s: float) -> float:
        """When the answer to so many bytes is there."""
        at_s, left = max(now_s, self.free_s), size_bytes
        while left > 0:
            passed = self.rate(at_s) * 0.01
            at_s += 0.01 if passed < left else 0.01 * left / passed
            left -= passed
        self.free_s = at_s
        lost_s = _RETRANSMISSION_S + 2 * self.one_way_s if self.random.random() < self.loss else 0.0
        return at_s + lost_s + 2 * self.one_way_s


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
    flight: list[tuple[float, int, int]] = field(default_factory=list)
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
        oldest = next(iter(self.flight or self.waiting), None)
        patience_s = self.governor.patience_s
        if patience_s is None or oldest is None or now_s - oldest[0] <= patience_s:
            self.taken += 1
            size = self.sizes[choice.level] + (self.taken * 37) % 60 - 30
            self.governor.coded(choice.level, size, 0.03)
            self.waiting.append((now_s, size, choice.level))
        else:
            self.governor.held_back()
        return now_s + 1.0 / choice.frames_per_s

    def send(self, now_s: float) -> float | None:
        """Begin a batch or a probe; answers when it is acknowledged, ``None`` if there is nothing to send."""
        self.now_s = now_s
        if now_s >= self.probe_due_s:
            self.probe_due_s = now_s + _PROBE_PERIOD_S
            answered_s = self.link.round_trip_ends_s(80, now_s)
            self.governor.probed(answered_s - now_s)
            return answered_s
        self._shed()
        most = self.governor.batch_bytes or 1e12
        while self.waiting and len(self.flight) < 8:
            if self.flight and sum(size for _, size, _ in self.flight) + self.waiting[0][1] > most:
                break
            self.flight.append(self.waiting.popleft())
        if not self.flight:
            return None
        return self.link.round_trip_ends_s(sum(size + FRAMING_BYTES for _, size, _ in self.flight), now_s)

    def acknowledged(self, sent_s: float, now_s: float) -> None:
        """What was on its way arrived."""
        self.now_s = now_s
        if self.flight:
            size = sum(size + FRAMING_BYTES for _, size, _ in self.flight)
            self.governor.delivered(Delivery(self.flight[0][0], sent_s, now_s, size))
            self.sent += [Sent(now_s, now_s - coded_s, level) for coded_s, _, level in self.flight]
        self.flight = []

    def _shed(self) -> None:
        while self.waiting and self.waiting[0][0] < self.now_s - MOST_AGE_S:
            self.waiting.popleft()


def play(cameras: list[SimulatedCamera], length_s: float) -> None:
    """Let the cameras send over their links for so long."""
    events: list[tuple[float, int, str, int, float]] = []
    order = 0

    def push(at_s: float, what: str, camera: int, since_s: float = 0.0) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (at_s, order, what, camera, since_s))

    for number in range(len(cameras)):
        push(0.013 * number, "frame", number)
        push(0.013 * number, "send", number)
    while events and events[0][0] < length_s:
        now_s, _, what, number, since_s = heapq.heappop(events)
        camera = cameras[number]
        if what == "frame":
            push(camera.frame_due(now_s), "frame", number)
            continue
        if what == "ack":
            camera.acknowledged(since_s, now_s)
        done_s = camera.send(now_s)
        if done_s is None:
            push(now_s + 0.01, "send", number)
        else:
            push(done_s, "ack", number, now_s)
