"""Which designs a camera can use: heads that are here, tails that are served, room in a packet."""

from __future__ import annotations

import pytest

from edge_client.planning.usable import UsableDesigns
from narrows.contract.schedule import Design, Kind, PlanTable
from narrows.contract.wire.feature import MAX_PACKET_BYTES

_TABLE = PlanTable(
    "0" * 64, "agreement",
    tuple(Design(f"cut {cut}", Kind.SPLIT, 1, None, link_bytes, 0.01, 1.0, cut=cut)
          for cut, link_bytes in enumerate((500.0, 1_000.0, MAX_PACKET_BYTES + 1.0))),
)  # fmt: skip


def cuts(usable: UsableDesigns, now_s: float = 0.0) -> list[int | None] | None:
    table = usable.changed(now_s)
    return None if table is None else [design.cut for design in table.designs]


def test_designs_are_told_once_and_again_when_they_are_others() -> None:
    usable = UsableDesigns(_TABLE, [0, 1])
    assert cuts(usable) == [0, 1]
    assert cuts(usable) is None
    usable.serve([1])
    assert cuts(usable) == [1]
    usable.serve((1,))
    assert cuts(usable) is None
    usable.serve(None)
    assert cuts(usable) == [0, 1]
    usable.lose_head(0)
    assert cuts(usable) == [1]


def test_a_cut_without_room_is_left_for_a_minute() -> None:
    usable = UsableDesigns(_TABLE, [0, 1, 2])
    assert cuts(usable) == [0, 1]
    usable.crowd(0, 10.0)
    assert cuts(usable, 10.0) == [1]
    assert cuts(usable, 69.9) is None
    assert cuts(usable, 70.0) == [0, 1]


@pytest.mark.parametrize(("heads", "served", "expected"), [([0], [1], [0]), ([2], [2], [2]), ([2], [0], [2])])
def test_where_none_has_both_or_none_has_room_some_are_tried_all_the_same(
    heads: list[int], served: list[int], expected: list[int]
) -> None:
    """A camera that stopped would send nothing once a server with its tail comes."""
    usable = UsableDesigns(_TABLE, heads)
    usable.serve(served)
    assert cuts(usable) == expected
