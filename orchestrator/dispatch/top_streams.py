"""Which streams offer most, lose most and have clocks ahead: a few names, for who looks for one camera among thousands.

No metric has a camera for a label; these names travel in the dispatcher's report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from heapq import nlargest
from operator import attrgetter, sub

from narrows.contract.records.report import MOST_TOP_STREAMS, StreamRates
from orchestrator.dispatch.stream import Stream

WINDOW_S = 5.0
"""Long enough that a camera of one frame a second has a rate, and that 10,000 streams cost next to nothing."""

_Counts = tuple[int, int, int]


class TopStreams:
    """Compares what was counted of each stream with what it was a window ago.

    Attributes:
        rates: the streams that are first by one of the rates, as of the last full window.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rates: tuple[StreamRates, ...] = ()
        self._monotonic = monotonic
        self._counted: dict[Stream, _Counts] = {}
        self._counted_s = monotonic()

    def look(self, streams: Collection[Stream]) -> None:
        """Call as often as is convenient; nothing happens until a window is over."""
        elapsed_s = self._monotonic() - self._counted_s
        if elapsed_s < WINDOW_S:
            return
        before, self._counted = self._counted, {stream: _counts(stream) for stream in streams}
        self._counted_s += elapsed_s
        self.rates = _first(
            [
                StreamRates(stream.id, *(round(max(0, each) / elapsed_s, 3) for each in map(sub, now, then)))
                for stream, now in self._counted.items()
                if now != (then := before.get(stream, (0, 0, 0)))
            ]
        )


def _counts(stream: Stream) -> _Counts:
    return stream.taken_in + stream.forged + stream.trimmed, stream.skipped + stream.trimmed, stream.clocks_ahead


def _first(rates: list[StreamRates]) -> tuple[StreamRates, ...]:
    """Those that are first by any of the rates, by name."""
    found: dict[str, StreamRates] = {}
    for name in ("offered_per_s", "skipped_per_s", "clock_ahead_per_s"):
        rate = attrgetter(name)
        found |= {each.stream: each for each in nlargest(MOST_TOP_STREAMS, rates, key=rate) if rate(each) > 0}
    return tuple(found[stream] for stream in sorted(found))
