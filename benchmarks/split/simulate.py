"""One camera, one trace, one scheduler: frame by frame.

::

    device ─► link ─► cloud ─► result        each one frame at a time, at most a few on their way

A frame is begun when the device is free and not too many are on their way; a frame that the device does alone waits for
nobody. Whoever is held back looks again every tenth of a second; so does, while a head runs, a scheduler that may begin
a frame anew by another design. Before the beginning, and where nothing was sent for a second, a
probe of two packets keeps the measurement of the link fresh. Every frame that is begun ends: none is given up.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from benchmarks.split.scheduler import Scheduler, Seen
from benchmarks.split.simulated_system import SimulatedSystem
from edge_client.rate.goodput import Delivery, LinkMeter
from narrows.contract.schedule import Design, Kind

_LOOK_S, _PROBE_EVERY_S, _PROBE_BYTES, _TELLING_BYTES = 0.1, 1.0, 3000.0, 1000.0
_TOLD_S = 1.0
"""A control record is so old."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame's way."""

    captured_s: float
    done_s: float
    design: Design


@dataclass
class Played:
    """What came of a trace.

    Attributes:
        frames: in the order in which they were begun.
        switches: designs that took over from another.
        lost: frames without an end.
    """

    length_s: float
    frames: list[Frame] = field(default_factory=list)
    switches: int = 0

    @property
    def lost(self) -> int:
        """Frames that never end."""
        return sum(not math.isfinite(frame.done_s) for frame in self.frames)

    @property
    def results_per_s(self) -> float:
        """Results that were there before the trace ended."""
        return sum(frame.done_s <= self.length_s for frame in self.frames) / self.length_s

    @property
    def mean_latency_s(self) -> float:
        """Of the frame that was begun last, averaged over time: a frame that takes long counts as long as it lasts."""
        ends = [*(frame.captured_s for frame in self.frames[1:]), self.length_s]
        spans = [max(0.0, end - frame.captured_s) for frame, end in zip(self.frames, ends, strict=True)]
        weighed = sum((frame.done_s - frame.captured_s) * span for frame, span in zip(self.frames, spans, strict=True))
        return weighed / sum(spans)


@dataclass(frozen=True, slots=True)
class _Packet:
    sent_s: float
    acked_s: float
    size_bytes: float


class _Play:
    def __init__(self, system: SimulatedSystem, scheduler: Scheduler) -> None:
        self.system, self.scheduler = system, scheduler
        self.meter = LinkMeter()
        self.on_their_way: list[float] = []
        self.packets: deque[_Packet] = deque()
        self.link_free_s = self.cloud_free_s = self.used_s = 0.0
        self.acked_s, self.goodput = 0.0, math.inf
        self.in_cloud: list[tuple[float, float, float]] = []
        self._probe_before()

    def _probe_before(self) -> None:
        """A probe crossed before the play began, so that nobody chooses blindly."""
        round_trip_s, rate = 2 * self.system.one_way_s, self.system.link.at(0.0)
        self.meter.probe(round_trip_s, 0.0)
        if rate:
            sent_s = -round_trip_s - _PROBE_BYTES / rate
            self.meter.deliver(Delivery(sent_s, sent_s, 0.0, round(_PROBE_BYTES)))
            self.goodput = self.meter.latest_bytes_per_s

    def run(self) -> Played:
        played, now_s, before = Played(self.system.length_s), 0.0, None
        settings = self.system.settings
        while now_s < self.system.length_s:
            design = self._look(now_s)
            if not self._admits(design):
                now_s = min(now_s + _LOOK_S, *self.on_their_way)
                continue
            frame, free_s = self._frame(design, now_s)
            if frame.design.kind is not Kind.DEVICE_ONLY:
                self.on_their_way.append(frame.done_s)
            played.frames.append(frame)
            played.switches += before is not None and frame.design.name != before
            before = frame.design.name
            now_s = max(free_s, now_s + 1 / settings.frames_per_s)
        return played

    def _look(self, now_s: float) -> Design:
        self._learn(now_s)
        self.on_their_way = [done_s for done_s in self.on_their_way if done_s > now_s]
        return self.scheduler.choose(self._seen(now_s))

    def _admits(self, design: Design) -> bool:
        return design.kind is Kind.DEVICE_ONLY or len(self.on_their_way) < self.system.settings.in_flight

    def _frame(self, design: Design, now_s: float) -> tuple[Frame, float]:
        began_s, took_s = now_s, self.system.head_s(design.device_s or 0.0)
        looked_s = began_s + _LOOK_S
        while self.scheduler.begins_anew and looked_s < began_s + took_s:
            other = self._look(looked_s)
            if other.name != design.name and self._admits(other):
                design, began_s, took_s = other, looked_s, self.system.head_s(other.device_s or 0.0)
            looked_s += _LOOK_S
        coded_s = began_s + took_s
        self.scheduler.head_took(design, took_s, coded_s)
        arrived_s = self._send(design.link_bytes, coded_s)
        done_s = arrived_s
        if design.server_s:
            done_s = self.system.cloud.finish_s(max(arrived_s, self.cloud_free_s), design.server_s)
            self.cloud_free_s = done_s
            self.in_cloud.append((arrived_s, done_s, design.server_s))
        return Frame(now_s, done_s, design), coded_s

    def _send(self, size_bytes: float, now_s: float) -> float:
        if now_s > self.link_free_s and self.system.link.at(now_s):
            self.meter.probe(2 * self.system.one_way_s, now_s)  # it stood idle: a small question went to and fro
        through_s = self.system.link.finish_s(max(now_s, self.link_free_s), size_bytes)
        self.link_free_s, self.used_s = through_s, through_s
        arrived_s = through_s + self.system.one_way_s
        self.packets.append(_Packet(now_s, arrived_s + self.system.one_way_s, size_bytes))
        return arrived_s

    def _learn(self, now_s: float) -> None:
        """What was acknowledged until now."""
        while self.packets and self.packets[0].acked_s <= now_s:
            packet = self.packets.popleft()
            self.acked_s = packet.acked_s
            if packet.size_bytes >= _TELLING_BYTES:
                self.meter.deliver(Delivery(packet.sent_s, packet.sent_s, packet.acked_s, round(packet.size_bytes)))
                if self.meter.away_until_s < packet.acked_s:
                    self.goodput = self.meter.latest_bytes_per_s
            else:
                self.meter.probe(packet.acked_s - packet.sent_s, packet.acked_s)
        if not self.packets and now_s - self.used_s >= _PROBE_EVERY_S:
            self._send(_PROBE_BYTES, now_s)

    def _seen(self, now_s: float) -> Seen:
        waiting_s = size_bytes = 0.0
        sent = next((packet for packet in self.packets if packet.sent_s <= now_s), None)
        if sent is not None:
            size_bytes = sent.size_bytes
            waiting_s = max(0.0, now_s - max(sent.sent_s, self.acked_s) - 2 * self.system.one_way_s)
        return Seen(
            now_s=now_s,
            goodput_bytes_per_s=self.goodput,
            latest_bytes_per_s=self.meter.latest_bytes_per_s,
            round_trip_s=self.meter.base_s,
            cloud_load=self.system.cloud_load(now_s),
            cloud_wait_s=self._cloud_wait_s(now_s - _TOLD_S),
            waiting_bytes=size_bytes,
            waiting_s=waiting_s,
            speed=self.meter.speed(now_s),
        )

    def _cloud_wait_s(self, at_s: float) -> float:
        """What waited there then takes, at the speed of then."""
        self.in_cloud = [each for each in self.in_cloud if each[1] > at_s]
        work_s = sum(server_s for arrived_s, _, server_s in self.in_cloud if arrived_s <= at_s)
        return work_s / self.system.cloud.at(at_s)


def play(system: SimulatedSystem, scheduler: Scheduler) -> Played:
    """Play a trace through; both are fresh, for they have memories."""
    return _Play(system, scheduler).run()
