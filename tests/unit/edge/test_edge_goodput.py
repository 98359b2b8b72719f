"""What acknowledgements say of a link: its rate, whatever the window; its round trip; a queue, not a lost segment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.rate.goodput import Delivery, LinkMeter

ROUND_TRIP_S = 0.1


def metered(sizes: Sequence[int], bytes_per_s: float, period_s: float, window: int) -> LinkMeter:
    """Packets coded once a period, so many of them on their way at most, on a link of a given rate.

    The camera asks Redis something small now and then, so a bare round trip is measured within the meter's memory.
    """
    meter = LinkMeter()
    meter.probe(ROUND_TRIP_S, 0.0)
    acked_s: list[float] = []
    free_s = 0.0
    for number, size in enumerate(sizes):
        coded_s = number * period_s
        sent_s = max(coded_s, acked_s[number - window] if number >= window else 0.0)
        free_s = max(free_s, sent_s) + size / bytes_per_s
        acked_s.append(free_s + ROUND_TRIP_S)
        meter.deliver(Delivery(coded_s, sent_s, acked_s[-1], size))
        meter.probe(ROUND_TRIP_S, acked_s[-1])
    return meter


sizes = st.lists(st.integers(600, 3000), min_size=8, max_size=40)


@given(sizes, st.floats(1e3, 5e4), st.floats(0.01, 0.5), st.integers(1, 8))
def test_the_rate_of_the_link_is_found_whatever_the_window_and_the_load(
    sizes: list[int], bytes_per_s: float, period_s: float, window: int
) -> None:
    meter = metered(sizes, bytes_per_s, period_s, window)
    assert meter.base_s == ROUND_TRIP_S
    assert meter.service_bytes_per_s == pytest.approx(bytes_per_s, rel=0.01)


def test_goodput_is_what_arrives_and_not_what_could() -> None:
    meter = metered([1000] * 40, 50_000, 0.1, 4)
    assert meter.goodput_bytes_per_s == pytest.approx(10_000, rel=0.05)


def test_a_queue_is_a_delay_and_one_late_delivery_is_none() -> None:
    meter = metered([1000] * 10, 50_000, 0.1, 4)
    last_s = 0.9 + 0.02 + ROUND_TRIP_S
    meter.deliver(Delivery(1.0, 1.0, last_s + 0.6, 1000))
    assert meter.delay_s < 0.05
    for number in (1, 2):
        meter.deliver(Delivery(1.0 + 0.1 * number, 1.0, last_s + 0.6 + 0.02 * number, 1000))
    assert meter.delay_s > 0.3


def test_what_was_on_its_way_while_the_link_was_away_is_no_queue() -> None:
    meter = metered([1000] * 10, 50_000, 0.1, 4)
    for number in range(3):
        meter.deliver(Delivery(1.0 + 0.1 * number, 1.0 + 0.1 * number, 5.0 + 0.02 * number, 1000))
    assert meter.away_until_s == 5.0
    assert meter.delay_s == 0.0
    for number in range(3):
        meter.deliver(Delivery(5.1 + 0.1 * number, 5.1 + 0.1 * number, 5.8 + 0.1 * number, 1000))
    assert meter.delay_s == pytest.approx(0.6, abs=0.05)


def test_answers_in_one_clump_count_as_one() -> None:
    meter = LinkMeter()
    meter.probe(ROUND_TRIP_S, 0.0)
    for burst in range(3):
        for number in range(4):
            acked_s = 1.0 + 0.4 * burst + 0.001 * number
            meter.deliver(Delivery(acked_s - 0.5, acked_s - 0.5, acked_s, 1000))
    assert meter.service_bytes_per_s == pytest.approx(10_000, rel=0.02)


def test_nothing_is_known_before_the_first_answer() -> None:
    meter = LinkMeter()
    assert (meter.base_s, meter.delay_s) == (0.0, 0.0)
    assert meter.service_bytes_per_s == meter.goodput_bytes_per_s == math.inf


def test_behind_a_change_of_size_packets_of_that_size_alone_count() -> None:
    """Small ones were answered in 50 ms each, which says 20 kB/s; large ones cross at 200 kB/s."""
    meter = LinkMeter()
    meter.probe(0.0, 0.0)
    for number in range(10):
        meter.deliver(Delivery(number, number, number + 0.05, 1000))
    assert meter.service_bytes_per_s == pytest.approx(20_000)
    meter.resized(40_000, 10.0)
    meter.deliver(Delivery(9.9, 10.0, 10.05, 1000))  # coded before the change
    meter.deliver(Delivery(10.1, 10.1, 10.3, 40_000))
    assert meter.service_bytes_per_s == pytest.approx(200_000)


def test_until_one_was_acknowledged_what_their_size_took_before_counts() -> None:
    meter = LinkMeter()
    meter.probe(0.0, 0.0)
    meter.resized(40_000, 0.0)
    assert meter.service_bytes_per_s == math.inf
    for number in range(5):
        meter.deliver(Delivery(number, number, number + 0.2, 40_000))
    meter.resized(1000, 5.0)
    for number in range(5, 10):
        meter.deliver(Delivery(number, number, number + (0.01, 0.1)[number % 2], 1000))
    meter.resized(40_000, 10.0)
    assert 100_000 < meter.service_bytes_per_s <= 2_000_000
    assert meter.service_bytes_per_s == pytest.approx(meter.speed(10.0).of(40_000))
