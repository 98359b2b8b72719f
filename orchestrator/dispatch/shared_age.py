"""The age of the backlog, as a signal that no camera sets alone. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

_ALONE_AT_MOST = 2


def shared_age_s(ages_s: Sequence[float], active_streams: int) -> float:
    """The age that the oldest frames of two streams have at least; among one or two streams, the oldest frame's.

    A lack of decoders makes many streams wait. One that waits alone among three or more does so for a reason of its own
    (a flood, keys that are amiss, a packet that takes long), which a further server does not mend.

    Args:
        ages_s: of each waiting stream's oldest frame.
        active_streams: those that wait, or sent a frame lately.
    """
    if active_streams <= _ALONE_AT_MOST:
        return max(ages_s, default=0.0)
    return min(heapq.nlargest(2, ages_s)) if len(ages_s) > 1 else 0.0
