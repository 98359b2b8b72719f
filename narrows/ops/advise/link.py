"""What a link carries, measured with PING: whatever is sent along with it comes back, and every user may say it.

A payload crosses the uplink and the downlink, one after the other or at once; what is found is so what the slower of
the two carries at least. A camera's uplink is the slower as a rule.
"""

from __future__ import annotations

import os
from collections.abc import Callable

FIRST_BYTES, MOST_BYTES = 1 << 11, 1 << 18
"""The first payload, and the largest: a quarter of what a server takes in one piece (``proto-max-bulk-len``)."""
LONG_ENOUGH_S = 0.5
"""A payload that takes so long says more of the link than of its round trip."""


def measured_bytes_per_s(ping: Callable[[bytes], object], clock: Callable[[], float]) -> float:
    """Bytes a second that a link carries, at least.

    Args:
        ping: sends a payload and waits until it is back.
        clock: seconds, rising.

    Raises:
        What ``ping`` raises.
    """
    ping(b"")  # the connection stands
    empty_s = _timed(lambda: ping(b""), clock)
    size = FIRST_BYTES
    while True:
        payload = os.urandom(size)  # nothing on the way makes it smaller
        took_s = max(_timed(lambda: ping(payload), clock) - empty_s, 1e-6)  # noqa: B023 - asked for at once
        if took_s >= LONG_ENOUGH_S or size >= MOST_BYTES:
            return size / took_s
        size *= 2


def _timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    begun_s = clock()
    work()
    return clock() - begun_s
