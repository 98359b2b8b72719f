"""What a camera counts: one frozen value, and the one place that moves it.

``frames_taken == frames_sent + sum(frames_dropped) + frames_waiting``, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock


@dataclass(frozen=True, slots=True)
class EdgeStats:
    """Counters since the start.

    Attributes:
        frames_taken: frames that were given an identity.
        frames_sent: of these, acknowledged by Redis.
        frames_dropped: of these, given up, by reason (``expired``, ``queue_full``, ``reference_dropped``, ...).
        frames_waiting: of these, waiting or on their way.
        passed_over: frames of a live camera that were never read, because a newer one was there.
        behind_s: time by which frames came later than their pace, summed.
        network_s, coder_s: time in the encoder network, and in quantiser and entropy coder.
        link_failures: failed tries to reach or write to Redis, by reason.
        control_malformed: control records that could not be read.
    """

    frames_taken: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0
    frames_dropped: Mapping[str, int] = field(default_factory=dict)
    frames_waiting: int = 0
    passed_over: int = 0
    behind_s: float = 0.0
    network_s: float = 0.0
    coder_s: float = 0.0
    link_failures: Mapping[str, int] = field(default_factory=dict)
    control_malformed: int = 0


class Tally:
    """Moves the counters, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stats = EdgeStats()

    def snapshot(self) -> EdgeStats:
        """The counters now."""
        return self._stats

    def taken(self, network_s: float, coder_s: float) -> None:
        """A frame was encoded."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                frames_taken=now.frames_taken + 1,
                frames_waiting=now.frames_waiting + 1,
                network_s=now.network_s + network_s,
                coder_s=now.coder_s + coder_s,
            )

    def sent(self, size_bytes: int) -> None:
        """Redis acknowledged a frame."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                frames_sent=now.frames_sent + 1,
                frames_waiting=now.frames_waiting - 1,
                bytes_sent=now.bytes_sent + size_bytes,
            )

    def dropped(self, reason: str) -> None:
        """A frame was given up."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                frames_waiting=now.frames_waiting - 1,
                frames_dropped=_one_more(now.frames_dropped, reason),
            )

    def link_failed(self, reason: str) -> None:
        """A try to reach Redis failed."""
        with self._lock:
            self._stats = replace(self._stats, link_failures=_one_more(self._stats.link_failures, reason))

    def control_malformed(self) -> None:
        """A control record could not be read."""
        with self._lock:
            self._stats = replace(self._stats, control_malformed=self._stats.control_malformed + 1)

    def source(self, passed_over: int, behind_s: float) -> None:
        """What the source passed over, and the pace lost, so far."""
        with self._lock:
            self._stats = replace(self._stats, passed_over=passed_over, behind_s=behind_s)


def _one_more(counts: Mapping[str, int], reason: str) -> dict[str, int]:
    return {**counts, reason: counts.get(reason, 0) + 1}
