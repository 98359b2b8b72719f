"""What a link carries, by a clock that the link moves."""

import pytest

from narrows.ops.advise.link import MOST_BYTES, measured_bytes_per_s


class Link:
    """A round trip, and so many bytes a second."""

    def __init__(self, bytes_per_s: float, round_trip_s: float) -> None:
        self.bytes_per_s, self.round_trip_s, self.now_s = bytes_per_s, round_trip_s, 0.0
        self.largest = 0

    def ping(self, payload: bytes) -> None:
        self.largest = max(self.largest, len(payload))
        self.now_s += self.round_trip_s + len(payload) / self.bytes_per_s

    def clock(self) -> float:
        return self.now_s


@pytest.mark.parametrize("bytes_per_s", [1_000, 8_000, 250_000, 10_000_000])
@pytest.mark.parametrize("round_trip_s", [0.001, 0.6])
def test_a_round_trip_is_not_taken_for_a_thin_link(bytes_per_s: float, round_trip_s: float) -> None:
    link = Link(bytes_per_s, round_trip_s)
    assert measured_bytes_per_s(link.ping, link.clock) == pytest.approx(bytes_per_s, rel=0.01)


def test_a_thin_link_is_not_held_up_for_long_nor_a_wide_one_flooded() -> None:
    thin, wide = Link(2_000, 0.1), Link(1e9, 0.01)
    for link in (thin, wide):
        measured_bytes_per_s(link.ping, link.clock)
    assert thin.now_s < 3
    assert wide.largest == MOST_BYTES
