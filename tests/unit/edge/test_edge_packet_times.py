"""What packets of one size say of another: a shaper's bucket, a device that is slow to notice, time that goes by."""

from __future__ import annotations

import math

import pytest

from edge_client.rate.goodput import Delivery, LinkMeter
from edge_client.rate.packet_times import HALVES_S, LinkSpeed, PacketTimes
from narrows.contract.schedule.conditions import PRIOR_BYTES_PER_S

SMALL, LARGE = 1_500, 20_000
THIN = 36_000.0


def times(*packets: tuple[int, float, float]) -> PacketTimes:
    """Each ``(bytes, seconds, at)``."""
    found = PacketTimes()
    for size, seconds, at_s in packets:
        found.took(size, seconds, at_s)
    return found


def seconds(speed: LinkSpeed, size: float) -> float:
    return speed.shape.counts_for(size) / speed.bytes_per_s


def failed(at_s: float = 0.0) -> PacketTimes:
    """A large packet took half a second, small ones since then pass the bucket at once."""
    small = [(SMALL, 0.0, at_s + 1 + 0.3 * n) for n in range(4)]
    return times((LARGE, LARGE / THIN, at_s), *small)


def test_before_the_first_packet_nothing_is_known() -> None:
    assert PacketTimes().speed(5.0) == LinkSpeed()
    assert PacketTimes().speed(5.0).bytes_per_s == math.inf


@pytest.mark.parametrize("up_s", [60.0, 3_600.0, 86_400.0, 1e8])
def test_a_camera_may_be_up_for_years(up_s: float) -> None:
    """Of an untried size more is believed with time, of a failed one less of what was measured: neither overflows."""
    small = times((SMALL, 0.01, 0.0), (SMALL, 0.01, up_s))
    assert 0 < seconds(small.speed(up_s + 1), LARGE) < math.inf
    assert 0 < seconds(failed().speed(up_s), LARGE) < math.inf


def test_what_was_measured_at_a_size_is_told_of_that_size() -> None:
    speed = times(*[(LARGE, 0.4, 0.3 * n) for n in range(3)]).speed(1.0)
    assert seconds(speed, LARGE) == pytest.approx(0.4)
    assert seconds(speed, LARGE / 4) == pytest.approx(0.1)


def test_a_small_packet_that_passed_at_once_does_not_make_a_thin_link_wide() -> None:
    speed = failed().speed(2.0)
    believed = 2 ** (-2.0 / HALVES_S)
    assert seconds(speed, SMALL) <= 0.002
    assert seconds(speed, LARGE) == pytest.approx(believed * LARGE / THIN, rel=0.01)
    assert seconds(speed, 2 * LARGE) == pytest.approx(2 * believed * LARGE / THIN, rel=0.01)


def test_a_failure_is_believed_half_as_much_every_five_seconds_and_no_less_than_what_small_ones_took() -> None:
    found = failed()
    longer = [seconds(found.speed(2.0 + n * HALVES_S), LARGE) - 0.002 for n in range(3)]
    assert longer[1] == pytest.approx(longer[0] / 2, rel=0.01)
    assert longer[2] == pytest.approx(longer[0] / 4, rel=0.02)
    assert seconds(found.speed(500.0), LARGE) == pytest.approx(0.002 * LARGE / SMALL)


def test_of_a_size_that_was_never_tried_a_small_packet_promises_no_more_than_a_megabit_at_first() -> None:
    found = times(*[(SMALL, 0.0, 0.3 * n) for n in range(4)])
    soon, later = found.speed(0.0), found.speed(2 * HALVES_S)
    assert seconds(soon, LARGE) == pytest.approx(0.002 + (LARGE - SMALL) / PRIOR_BYTES_PER_S)
    assert seconds(later, LARGE) == pytest.approx(0.002 + (LARGE - SMALL) / (4 * PRIOR_BYTES_PER_S))
    slow = times(*[(SMALL, 0.1, 0.3 * n) for n in range(4)])
    assert seconds(slow.speed(2.0), LARGE) == pytest.approx(0.1 * LARGE / SMALL), "what is slow for few bytes"


def test_a_device_that_notices_late_does_not_make_a_wide_link_thin() -> None:
    """Small packets take 20 to 90 ms, by when the device looks; a large one took 130 ms."""
    late = [(SMALL, lateness, 1.0 + 0.3 * n) for n, lateness in enumerate((0.09, 0.02, 0.06))]
    speed = times((LARGE, 0.13, 0.0), *late).speed(2.0)
    assert seconds(speed, SMALL) == pytest.approx(0.06)
    assert seconds(speed, LARGE) == pytest.approx(0.06 + (0.13 - 0.06) * 2 ** (-2.0 / HALVES_S))


def test_a_link_that_became_thin_since_is_seen_in_the_packets_in_use() -> None:
    speed = times((LARGE, 0.08, 0.0), *[(SMALL, 0.05, 1.0 + 0.3 * n) for n in range(4)]).speed(2.0)
    assert seconds(speed, LARGE) == pytest.approx(0.05 * LARGE / SMALL)


def test_scenes_that_differ_a_little_are_of_one_size_and_one_late_packet_is_none() -> None:
    found = times(*[(size, size / 50_000, 0.3 * n) for n, size in enumerate((20_000, 26_000, 18_500))])
    assert found.speed(1.0).bytes_per_s == pytest.approx(50_000)
    late = times((LARGE, 0.4, 0.0), (LARGE, 0.9, 0.3), (LARGE, 0.4, 0.6))
    assert seconds(late.speed(1.0), LARGE) == pytest.approx(0.4)


def test_packets_of_long_before_do_not_speak_for_those_in_use() -> None:
    found = times(*[(LARGE, 0.1, 0.3 * n) for n in range(3)], (LARGE, 0.8, 9.0))
    assert seconds(found.speed(9.0), LARGE) == pytest.approx(0.8)


def test_an_outage_says_nothing_of_a_size_and_a_link_that_stays_thin_does() -> None:
    usual = [(LARGE, 0.1, 0.3 * n) for n in range(3)]
    outage = times(*usual, (LARGE, 3.0, 3.6), (LARGE, 0.1, 3.7))
    assert seconds(outage.speed(4.0), LARGE) == pytest.approx(0.1)
    thin = times(*usual, (LARGE, 3.0, 3.6), (LARGE, 3.0, 6.6))
    assert seconds(thin.speed(7.0), LARGE) == pytest.approx(3.0)


def test_a_size_counts_as_tried_for_as_long_as_it_is_believed_by_half() -> None:
    found = failed()
    assert found.speed(HALVES_S - 0.1).tried_bytes >= LARGE
    assert SMALL < found.speed(HALVES_S + 0.1).tried_bytes < LARGE
    assert SMALL < found.speed(500.0).tried_bytes < LARGE, "the size in use is tried however long ago"


def test_while_a_size_is_tried_how_long_it_waits_is_told_at_once() -> None:
    speed = times(*[(SMALL, 0.0, 0.3 * n) for n in range(4)]).speed(1.0)
    waits = speed.while_waiting(LARGE, 0.4)
    assert seconds(waits, LARGE) == pytest.approx(0.4)
    assert seconds(waits, SMALL) == seconds(speed, SMALL)
    assert speed.while_waiting(LARGE, 0.01) == speed
    assert speed.while_waiting(SMALL, 0.9) == speed, "one in use that is late may be a lost segment"
    assert speed.while_waiting(SMALL, 1.1).bytes_per_s == 0.0
    assert LinkSpeed().while_waiting(LARGE, 0.5) == LinkSpeed()


def test_packets_that_are_acknowledged_together_are_one_also_here() -> None:
    meter = LinkMeter()
    meter.probe(0.1, 0.0)
    for burst in range(3):
        for number in range(4):
            acked_s = 1.0 + 0.4 * burst + 0.001 * number
            meter.deliver(Delivery(acked_s - 0.5, acked_s - 0.5, acked_s, 1000))
    speed = meter.speed(2.0)
    assert speed.bytes_per_s == pytest.approx(10_000, rel=0.02)
    assert speed.shape.measured_bytes == 4000
    meter.deliver(Delivery(2.5, 2.5, 2.61, 300))
    assert [size for size, _ in meter.speed(2.61).shape.points] == [300, 4000]


def test_the_first_packet_of_all_is_no_measure_of_a_bare_round_trip() -> None:
    meter = LinkMeter()
    meter.deliver(Delivery(0.0, 0.0, 1.0, LARGE))
    assert meter.speed(1.0).bytes_per_s == pytest.approx(LARGE)
    meter.deliver(Delivery(0.0, 0.0, 1.002, LARGE))
    assert meter.speed(1.0).bytes_per_s == pytest.approx(2 * LARGE, rel=0.01)
    meter.probe(0.1, 1.1)
    meter.deliver(Delivery(2.0, 2.0, 3.0, LARGE))
    assert meter.speed(3.0).bytes_per_s == pytest.approx(LARGE, rel=0.12)


def test_of_packets_that_are_acknowledged_together_the_first_alone_is_not_remembered() -> None:
    found = times((2_000, 0.1, 0.0))
    found.took(6_000, 0.3, 0.001, again=True)
    found.took(500, 0.0, 0.5)
    assert [size for size, _ in found.speed(0.5).shape.points] == [500, 6_000]


def test_what_is_said_again_takes_the_place_of_what_was_said_last() -> None:
    usual = [(LARGE, 0.1, 0.3 * n) for n in range(3)]
    found = times(*usual, (LARGE, 3.0, 3.6))
    found.took(LARGE, 3.001, 3.601, again=True)
    assert seconds(found.speed(3.7), LARGE) == pytest.approx(0.1), "still one packet, of the outage"
    found.took(LARGE, 3.0, 6.6)
    found.took(2 * LARGE, 3.0, 6.601, again=True)
    assert seconds(found.speed(7.0), 2 * LARGE) == pytest.approx(3.0)


def test_few_packets_are_remembered_whatever_comes() -> None:
    found = PacketTimes()
    for n in range(3_000):
        found.took(200 + (n * 7919) % 1_000_000, 0.1, 0.01 * n)
        assert len(found._latest) < 100


def test_a_larger_packet_takes_no_less_than_a_smaller_one_that_failed() -> None:
    """Of two sizes above the one in use the smaller one was unlucky."""
    found = times((6_000, 2.0, 0.0), (LARGE, 0.1, 0.4), *[(500, 0.01, 0.8 + 0.3 * n) for n in range(3)])
    speed = found.speed(1.5)
    assert seconds(speed, LARGE) >= seconds(speed, 6_000) > 1.0


def test_the_latest_three_of_a_size_tell() -> None:
    found = times(*[(LARGE, took_s, 0.3 * n) for n, took_s in enumerate((0.9, 0.9, 0.1, 0.1))])
    assert seconds(found.speed(1.0), LARGE) == pytest.approx(0.1)


def test_a_size_of_two_minutes_ago_is_as_good_as_untried() -> None:
    found = times((LARGE, 0.5, 0.0), (SMALL, 0.01, 119.0), (SMALL, 0.01, 119.5))
    assert [size for size, _ in found.speed(119.5).shape.points] == [SMALL, LARGE]
    found.took(SMALL, 0.01, 120.5)
    assert [size for size, _ in found.speed(120.5).shape.points] == [SMALL]


def test_a_packet_of_a_size_that_takes_long_may_wait_as_long_before_the_link_is_away() -> None:
    speed = failed().speed(2.0)
    assert speed.while_waiting(LARGE, 1.5).bytes_per_s == speed.bytes_per_s
    assert speed.while_waiting(LARGE, 2.5).bytes_per_s == 0.0
