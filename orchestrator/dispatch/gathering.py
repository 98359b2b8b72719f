"""When a shard's streams are read: at once where a frame would wait for nothing else, together where it would anyway.

A read costs about as much as a frame, whatever it brings. Under overload each batch makes room in one stream or
another, and frames that come one by one end the waiting of one read each.
"""

from __future__ import annotations

from collections.abc import Collection

GATHER_S = 0.002
"""How long what comes behind a frame is gathered, while others are under way."""


def worth_a_read(held: Collection[int], streams: int, room: int) -> bool:
    """Whether to read the streams that have room, which hold so many frames each, of so many that are read together.

    All of them have room, or one holds less than a quarter of its room, and may soon have no frame for a batch.
    """
    return bool(held) and (len(held) == streams or min(held) < room / 4)


def gathers(brought: int, held: int, read_count: int) -> bool:
    """Whether to wait for more after a read that brought so many entries, now that the shard holds so many frames."""
    return 0 < brought < read_count and held > brought
