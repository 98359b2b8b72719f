"""Delay: packets from one TUN device to the other, each way, each held back for so long. A process of its own.

``python relay.py DELAY_S FD FD [DELAY_S FD FD ...]``, with the devices' open files inherited. TCP runs from end to end
through it: it sees packets, no connections. Ends with its standard input.
"""

from __future__ import annotations

import heapq
import os
import selectors
import sys
import time
from contextlib import suppress

_PACKET_BYTES = 65_536
_LONGEST_WAIT_S = 1.0


def main() -> None:
    delays: dict[int, tuple[float, int]] = {}
    for first in range(1, len(sys.argv), 3):
        pair_delay_s, one, two = float(sys.argv[first]), int(sys.argv[first + 1]), int(sys.argv[first + 2])
        delays |= {one: (pair_delay_s, two), two: (pair_delay_s, one)}
    held: list[tuple[float, int, int, bytes]] = []
    count = 0
    with selectors.DefaultSelector() as ready:
        for fd in (*delays, sys.stdin.fileno()):
            os.set_blocking(fd, False)
            ready.register(fd, selectors.EVENT_READ)
        while True:
            wait_s = max(0.0, held[0][0] - time.monotonic()) if held else _LONGEST_WAIT_S
            for key, _ in ready.select(wait_s):
                if key.fd == sys.stdin.fileno():
                    return
                delay_s, other = delays[key.fd]
                with suppress(BlockingIOError):
                    count += 1
                    heapq.heappush(held, (time.monotonic() + delay_s, count, other, os.read(key.fd, _PACKET_BYTES)))
            while held and held[0][0] <= time.monotonic():
                _, _, other, packet = heapq.heappop(held)
                with suppress(OSError):  # a device whose namespace is gone
                    os.write(other, packet)


if __name__ == "__main__":
    main()
