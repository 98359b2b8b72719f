"""Decides rate level and frame rate from what the camera measures and what it is asked.

::

    acknowledgements ─► link meter ─► rate control ─► bytes a second ─┐
    coded packets ────► sizes by level ───────────────────────────────┼─► fit ─► ladder ─► level, frames a second
    control record, own limits, encoder's time, heat ─► limits ───────┘

With a level of its own (``--level``) a camera sends all frames at that level: nothing is decided here. Where a planner
chooses cut and level (:mod:`edge_client.planning`), how many frames a second remains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from edge_client.encode.packet_sizes import PacketSizes
from edge_client.rate.goodput import Delivery, LinkMeter
from edge_client.rate.heat import Thermometer
from edge_client.rate.packet_times import SAME_SIZE, UNKNOWN, LinkSpeed
from edge_client.rate.rate_control import DELAY_MOST_S, SHARE, RateControl
from edge_client.rate.steering import Choice, Ladder, fit, steer
from edge_client.slow_start import SlowStart
from narrows.contract.bundle import Manifest, SplitManifest
from narrows.contract.schedule.conditions import share_when
from narrows.contract.wire import Control

LEAST_FRAMES_PER_S = 0.5
_ENCODER_SHARE = 0.95
_CLIMB_MARGIN = 1.15
_GAIN = 0.1
_MISS_GAIN, _MISSED_MUCH, _MISSED_LITTLE = 1 / 16, 0.15, 0.05


@dataclass(frozen=True, slots=True)
class LinkReading:
    """The link: bytes a second that may be sent, and that arrive.

    ``base_s``, ``delay_s``: seconds of bare round trip, and of delay beyond it. ``speed``: how fast it takes packets of
    the size in use, and others.
    """

    rate_bytes_per_s: float
    goodput_bytes_per_s: float
    base_s: float
    delay_s: float
    speed: LinkSpeed = UNKNOWN


@dataclass(frozen=True, slots=True)
class LinkNeeds:
    """Frames a second that are asked for, bytes a second that the link carries, and bytes of a frame, either way."""

    frames_per_s: float
    carries_bytes_per_s: float
    features_bytes: float
    mask_bytes: float


class Governor:
    """One camera's rate. The encoding thread asks, the uplink's thread reports."""

    def __init__(
        self,
        manifest: Manifest | SplitManifest,
        own: Choice,
        *,
        adaptive: bool,
        monotonic_s: Callable[[], float],
        thermometer: Thermometer | None = None,
    ) -> None:
        self._own, self._adaptive, self._monotonic_s = own, adaptive, monotonic_s
        self._thermometer = thermometer or Thermometer(monotonic_s)
        self._sizes_by_cut = PacketSizes.by_cut(manifest)
        self._sizes = self._sizes_by_cut[0]
        self._meter = LinkMeter()
        self._control = RateControl()
        self._ladder = Ladder(len(self._sizes) - 1)
        self._slow_start = SlowStart(len(self._sizes) - 1, active=adaptive)
        self._planned: Choice | None = None
        self._coded_level = own.level
        self._encode_s = 0.0
        self._missed = 0.0
        self._held_back = 0
        self._limits = own
        self._lock = Lock()

    def choose(self, control: Control | None) -> Choice:
        """How to code the next frame, and how many of them a second."""
        own = self._planned or self._own
        asked = steer(own, control, len(self._sizes))
        if self._planned is not None:
            asked = Choice(max(asked.level, own.level), asked.frames_per_s)
        if not self._adaptive:
            return asked
        with self._lock:
            self._limits = self._limited(asked)
            return self._within(self._limits)

    def plan(self, cut: int, level: int) -> None:
        """A planner chose: from the next frame on this is coded, or coarser if the cloud asks for it."""
        sizes = self._sizes_by_cut[cut]
        with self._lock:
            before = None if self._planned is None else self._sizes.on_link(self._planned.level)
            if sizes is not self._sizes:
                self._sizes, self._encode_s = sizes, 0.0
            self._planned = Choice(level, self._own.frames_per_s)
            self._slow_start.active = False
            if before is not None:
                self._resize(before, sizes.on_link(level))

    def coded(self, level: int, size_bytes: int, encode_s: float, *, mask: bool = False) -> None:
        """A frame was encoded into so many bytes, in so long; ``mask``: as the camera's own mask."""
        with self._lock:
            self._missed -= _MISS_GAIN * self._missed
            self._coded_level = level
            self._sizes.masks = mask
            if mask:
                self._sizes.learn_mask(size_bytes)
            else:
                self._sizes.learn(level, size_bytes)
            self._encode_s += (_GAIN if self._encode_s else 1.0) * (encode_s - self._encode_s)

    def mask_made(self, size_bytes: int) -> None:
        """A mask of so many bytes was coded that is not sent."""
        with self._lock:
            self._sizes.learn_mask(size_bytes)

    def needs(self, control: Control | None) -> LinkNeeds:
        """What the link carries, and what all that is asked for takes of it, either way."""
        asked = steer(self._own, control, len(self._sizes))
        with self._lock:
            carries = SHARE * self._meter.service_bytes_per_s
            features = self._sizes.features_on_link(asked.level)
            return LinkNeeds(asked.frames_per_s, carries, features, self._sizes.mask_on_link)

    def held_back(self) -> None:
        """A frame was not coded, for what was coded before it is still on its way."""
        with self._lock:
            self._held_back += 1

    def delivered(self, delivery: Delivery) -> None:
        """Redis acknowledged packets."""
        with self._lock:
            self._meter.deliver(delivery)
            self._count_held_back(delivery.acked_s)
            packet = self._sizes.on_link(self._level)
            floor = LEAST_FRAMES_PER_S * self._sizes.on_link(self._coarsest)
            cap = _CLIMB_MARGIN * self._limits.frames_per_s * self._sizes.on_link(self._limits.level)
            self._control.update(self._meter, packet, floor, cap, delivery.acked_s)
            if self._slow_start.active:
                self._start(delivery.acked_s)

    def probed(self, round_trip_s: float) -> None:
        """Redis answered a small question."""
        with self._lock:
            self._meter.probe(round_trip_s, self._monotonic_s())

    @property
    def reading(self) -> LinkReading:
        """The link, as it was seen last."""
        with self._lock:
            meter = self._meter
            return LinkReading(
                self._control.rate,
                meter.goodput_bytes_per_s,
                meter.base_s,
                meter.delay_s,
                meter.speed(self._monotonic_s()),
            )

    @property
    def patience_s(self) -> float | None:
        """How old the oldest unacknowledged packet may be while more are coded; ``None``: any age.

        A segment that was lost is sent again after about a round trip: that alone holds nothing back.
        """
        if not self._adaptive:
            return None
        with self._lock:
            own_s = self._sizes.on_link(self._level) / self._meter.service_bytes_per_s
            return 2 * self._meter.base_s + max(DELAY_MOST_S, min(own_s, 1.0))

    @property
    def window_bytes(self) -> float:
        """While no more than these are on their way, one more packet may go.

        What the bare link holds, and a packet that stands behind it: so the link never idles, and a delay is seen soon.
        """
        with self._lock:
            service = self._meter.service_bytes_per_s
            packet = self._sizes.on_link(self._coded_level)
            if math.isinf(service):
                return 0.0
            if self._slow_start.probes:
                return packet
            return service * self._meter.base_s + packet

    @property
    def _level(self) -> int:
        """The level that is coded now."""
        return self._ladder.level if self._planned is None else self._limits.level

    @property
    def _coarsest(self) -> int:
        """The coarsest level that the link may force."""
        return len(self._sizes) - 1 if self._planned is None else self._limits.level

    def _resize(self, before: float, after: float) -> None:
        """Another design's packets: as many of them a second as of those before, if the link takes these.

        The rate in bytes is what was asked of it, which small packets leave low.
        """
        if max(before, after) > SAME_SIZE * min(before, after):
            self._meter.resized(after, self._monotonic_s())
            self._control.resize(self._meter, after / before)

    def _start(self, now_s: float) -> None:
        limits, speed = self._limits, self._meter.latest_bytes_per_s
        self._slow_start.delivered(
            speed, lambda level: limits.frames_per_s * self._sizes.on_link(level), limits.level, self._coded_level
        )
        self._ladder.start(self._slow_start.level, now_s)

    def _count_held_back(self, acked_s: float) -> None:
        """Frames held back since the last acknowledgement were missed, unless the link was away meanwhile."""
        if acked_s > self._meter.away_until_s:
            self._missed = 1 - (1 - self._missed) * (1 - _MISS_GAIN) ** self._held_back
        self._held_back = 0

    def _limited(self, asked: Choice) -> Choice:
        most = asked.frames_per_s
        if self._encode_s * most > _ENCODER_SHARE:
            most = _ENCODER_SHARE / self._encode_s
        share = share_when(self._thermometer.read_c())
        return Choice(asked.level, max(min(most, asked.frames_per_s * share), min(LEAST_FRAMES_PER_S, most)))

    def _within(self, limits: Choice) -> Choice:
        def fitting(bytes_per_s: float) -> Choice:
            return fit(bytes_per_s, self._sizes.on_link, limits, self._coarsest + 1, LEAST_FRAMES_PER_S)

        rate = self._control.rate
        if self._planned is not None:
            return fitting(rate + self._spare)
        if self._slow_start.active:
            return Choice(max(self._slow_start.level, limits.level), limits.frames_per_s)
        now = fitting(rate)
        wanted = self._wanted(now.level, fitting(rate / _CLIMB_MARGIN).level)
        level = max(self._ladder.step(wanted, self._monotonic_s()), limits.level)
        if level < now.level:
            return Choice(level, limits.frames_per_s)
        return Choice(level, fitting(rate + self._spare).frames_per_s)

    @property
    def _spare(self) -> float:
        """Bytes a second that fill a queue shorter than it may be within a second: a short dip is ridden out so."""
        meter = self._meter
        return max(0.0, DELAY_MOST_S - meter.delay_s) * meter.service_bytes_per_s

    def _wanted(self, fitting: int, fitting_well: int) -> int:
        """The level to aim at: a coarser one where frames are held back, whatever the rate says.

        Where segments are lost each stall holds frames back, and a finer level takes longer to work it off.
        """
        present = self._ladder.level
        if self._missed > _MISSED_MUCH and present < len(self._sizes) - 1:
            self._missed = _MISSED_LITTLE
            return max(fitting, present + 1)
        if fitting >= present:
            return fitting
        return fitting_well if self._missed < _MISSED_LITTLE else present
