"""What a camera counts: one frozen value, and the one place that moves it.

``frames_taken + frames_resumed == frames_sent + sum(frames_dropped) + frames_waiting``, always.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from edge_client.encode.frame_kind import FrameKind

LATENCY_BOUNDS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0)


@dataclass(frozen=True, slots=True)
class EdgeStats:
    """Counters since the start.

    Attributes:
        frames_taken: frames that were given an identity.
        frames_resumed: frames that a run before left in the spool.
        frames_sent: of these two, acknowledged by Redis.
        frames_dropped: of these, given up, by reason (``expired``, ``queue_full``, ``reference_dropped``, ...).
        frames_waiting: of these, waiting or on their way; at the end of a run, left in the spool for the next.
        passed_over: frames of a live camera that were never read, because a newer one was there, or only shown on site.
        behind_s: time by which frames came later than their pace, summed.
        network_s, coder_s, mask_s: time in the encoder network, in quantiser and entropy coder, and in masks made here.
        prompt_s: time in outlining what is pointed at.
        frames_sent_as: of those sent, by what they carried (``features``, ``masks``, ``audit``).
        link_failures: failed tries to reach or write to Redis, by reason.
        latency: frames by latency, from capture to Redis entry: as many as :data:`LATENCY_BOUNDS_S` and one more.
        latency_s: their latencies, summed.
        control_malformed: control records and lists of prompts that could not be read.
        stills: requests for a still picture, by what became of them.
        camera_state: ``ok``, ``away``, ``frozen`` or ``black``.
        camera_events: how often such a state was entered, the picture changed its size (``resized``), the camera broke
            off and was connected again (``broken_off``), or something was skipped that cannot be read (``unreadable``).
    """

    frames_taken: int = 0
    frames_resumed: int = 0
    frames_sent: int = 0
    frames_sent_as: Mapping[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    frames_dropped: Mapping[str, int] = field(default_factory=dict)
    frames_waiting: int = 0
    passed_over: int = 0
    behind_s: float = 0.0
    network_s: float = 0.0
    coder_s: float = 0.0
    mask_s: float = 0.0
    prompt_s: float = 0.0
    link_failures: Mapping[str, int] = field(default_factory=dict)
    latency: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS_S) + 1)
    latency_s: float = 0.0
    control_malformed: int = 0
    stills: Mapping[str, int] = field(default_factory=dict)
    camera_state: str = "ok"
    camera_events: Mapping[str, int] = field(default_factory=dict)


class Tally:
    """Moves the counters, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stats = EdgeStats()
        self._only_shown = 0

    def snapshot(self) -> EdgeStats:
        """The counters now."""
        return self._stats

    def taken(self, network_s: float, coder_s: float, mask_s: float = 0.0, prompt_s: float = 0.0) -> None:
        """A frame was encoded."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                frames_taken=now.frames_taken + 1,
                frames_waiting=now.frames_waiting + 1,
                network_s=now.network_s + network_s,
                coder_s=now.coder_s + coder_s,
                mask_s=now.mask_s + mask_s,
                prompt_s=now.prompt_s + prompt_s,
            )

    def only_shown(self) -> None:
        """A frame was not coded, as the link holds frames back; its mask was shown on site."""
        with self._lock:
            self._only_shown += 1

    def sent(self, size_bytes: int, kind: FrameKind = FrameKind.FEATURES) -> None:
        """Redis acknowledged a frame."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                frames_sent=now.frames_sent + 1,
                frames_sent_as=_more(now.frames_sent_as, kind.value),
                frames_waiting=now.frames_waiting - 1,
                bytes_sent=now.bytes_sent + size_bytes,
            )

    def resumed(self, frames: int) -> None:
        """So many frames of a run before wait in the spool."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now, frames_resumed=now.frames_resumed + frames, frames_waiting=now.frames_waiting + frames
            )

    def dropped(self, reason: str, frames: int = 1) -> None:
        """Frames were given up."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                frames_waiting=now.frames_waiting - frames,
                frames_dropped=_more(now.frames_dropped, reason, frames),
            )

    def arrived(self, latency_s: float) -> None:
        """A frame's latency became known."""
        place = bisect_left(LATENCY_BOUNDS_S, latency_s)
        with self._lock:
            now = self._stats
            counts = (*now.latency[:place], now.latency[place] + 1, *now.latency[place + 1 :])
            self._stats = replace(now, latency=counts, latency_s=now.latency_s + latency_s)

    def link_failed(self, reason: str) -> None:
        """A try to reach Redis failed."""
        with self._lock:
            self._stats = replace(self._stats, link_failures=_more(self._stats.link_failures, reason))

    def control_malformed(self) -> None:
        """A control record could not be read."""
        with self._lock:
            self._stats = replace(self._stats, control_malformed=self._stats.control_malformed + 1)

    def still(self, outcome: str) -> None:
        """A still picture was asked for."""
        with self._lock:
            self._stats = replace(self._stats, stills=_more(self._stats.stills, outcome))

    def source(self, passed_over: int, behind_s: float, events: Mapping[str, int]) -> None:
        """What the source passed over, the pace lost, and how often each of ``events`` befell the source, so far."""
        with self._lock:
            events = {**self._stats.camera_events, **{event: count for event, count in events.items() if count}}
            passed_over += self._only_shown
            self._stats = replace(self._stats, passed_over=passed_over, behind_s=behind_s, camera_events=events)

    def camera(self, event: str, state: str) -> None:
        """Something befell the camera, which is now in ``state``."""
        with self._lock:
            events = _more(self._stats.camera_events, event)
            self._stats = replace(self._stats, camera_state=state, camera_events=events)


def _more(counts: Mapping[str, int], reason: str, number: int = 1) -> dict[str, int]:
    return {**counts, reason: counts.get(reason, 0) + number}
