"""The newest mask of the streams on somebody's screen, and the design in use, and of no others."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from narrows.client.painting import Legend, paint, paint_outlines
from narrows.contract.schedule import Explanation
from narrows.contract.wire import MaskPacket, ResultPacket
from orchestrator.page.redis_view import RedisView

KEPT = 256
_FRESH_S = 0.5
_SAMPLES = 10


@dataclass
class LatestMask:
    """One stream's newest mask, and the last few that were seen of it.

    Attributes:
        entry: the mask's entry id in Redis; '' before the first.
        mask: the packet; one without a label map where a camera sends what it outlines alone.
        plan_entry, plan: of what its camera said last of the design of its split network; '' and ``None`` otherwise.
    """

    entry: str = ""
    mask: MaskPacket | ResultPacket | None = None
    plan_entry: str = ""
    plan: Explanation | None = None
    _looked_s: float = float("-inf")
    _sizes: deque[int] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    _png: bytes = b""

    def take(self, entry: str, mask: MaskPacket | ResultPacket) -> None:
        """A newer mask."""
        self.entry, self.mask, self._png = entry, mask, b""
        self._sizes.append(mask.feature_bytes)
        self._latencies_ms.append(latency_ms(mask))

    def due(self, now_s: float) -> bool:
        """Whether it is time to look again; if so, it counts as looked at."""
        if now_s - self._looked_s < _FRESH_S:
            return False
        self._looked_s = now_s
        return True

    def kbit_per_s(self, frames_per_s: float) -> float | None:
        """What so many frames a second of the size of the last few weigh; ``None`` before the first."""
        return fmean(self._sizes) * 8 * frames_per_s / 1000 if self._sizes else None

    @property
    def latency_ms(self) -> float | None:
        """From Redis entry to packed mask: the median of the last few."""
        return median(self._latencies_ms) if self._latencies_ms else None

    def png(self, legend: Legend) -> bytes:
        """The mask as a palette PNG; empty before the first, and where there is no label map."""
        if not self._png and isinstance(self.mask, MaskPacket):
            self._png = paint(self.mask.outputs, legend, quick=True)
        return self._png


class LatestMasks:
    """The newest masks, shared by all visitors. Blocks: for a thread; safe in several."""

    def __init__(self, view: RedisView, legends: Sequence[Legend], clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._legends = {legend.bundle_id: legend for legend in legends}
        self._clock = clock
        self._kept: OrderedDict[str, LatestMask] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, streams: Iterable[str]) -> dict[str, LatestMask]:
        """The newest of each stream; what was looked at half a second ago is not asked for again.

        Raises:
            ServiceError: Redis is away or refuses.
        """
        with self._lock:
            found = {stream: self._of(stream) for stream in streams}
            now_s = self._clock()
            due = {stream: latest_mask for stream, latest_mask in found.items() if latest_mask.due(now_s)}
            masks = self._view.newest_masks({stream: each.entry for stream, each in due.items()})
            for stream, (entry, mask) in masks.items():
                due[stream].take(entry, mask)
            plans = self._view.newest_plans({stream: each.plan_entry for stream, each in due.items()})
            for stream, (entry, plan) in plans.items():
                due[stream].plan_entry, due[stream].plan = entry, plan
            return found

    def kept(self, streams: Iterable[str]) -> dict[str, LatestMask]:
        """What is known of each stream without asking; never waits."""
        return {stream: latest_mask for stream in streams if (latest_mask := self._kept.get(stream)) is not None}

    def png(self, stream: str, entry: str = "") -> tuple[str, bytes]:
        """The mask of that entry, or the newest: its entry id and picture; empty where there is none.

        Raises:
            ServiceError: Redis is away or refuses.
        """
        latest_mask = self._newest(stream, entry)
        if entry in ("", latest_mask.entry):
            with self._lock:
                return latest_mask.entry, latest_mask.png(self._legend_of(latest_mask.mask))
        past = self._view.mask_at(stream, entry)  # another visitor's look has moved on meanwhile
        if not isinstance(past, MaskPacket):
            return "", b""
        return entry, paint(past.outputs, self._legend_of(past), quick=True)

    def objects(self, stream: str, entry: str) -> tuple[str, bytes]:
        """What was outlined in the frame of that mask, or the newest: entry id and picture; empty where it is nothing.

        Raises:
            ServiceError: Redis is away or refuses.
        """
        latest_mask = self._newest(stream, entry)
        known = entry in ("", latest_mask.entry)
        mask = latest_mask.mask if known else self._view.mask_at(stream, entry)
        objects = None if mask is None else mask.objects
        return (latest_mask.entry if known else entry), b"" if objects is None else paint_outlines(objects)

    def _newest(self, stream: str, entry: str) -> LatestMask:
        """What is kept of a stream; looked for anew where nothing is, or no ``entry`` is named."""
        with self._lock:
            latest_mask = self._kept.get(stream)
        if latest_mask is None or not entry:
            latest_mask = self.look([stream])[stream]
        return latest_mask

    def _legend_of(self, mask: MaskPacket | ResultPacket | None) -> Legend:
        return self._legends.get(mask.bundle_id, Legend()) if mask else Legend()

    def _of(self, stream: str) -> LatestMask:
        latest_mask = self._kept.setdefault(stream, LatestMask())
        self._kept.move_to_end(stream)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return latest_mask


def latency_ms(mask: MaskPacket | ResultPacket) -> float:
    """From the frame's entry into Redis to its packed mask."""
    spans = mask.timings
    return (spans.redis_us + spans.decode_us + spans.batch_us + spans.infer_us + spans.pack_us) / 1000
