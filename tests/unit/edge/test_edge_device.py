"""What a camera knows of its own processor: what others and a quota take, and what a frame takes beside its head."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

import pytest

from edge_client.planning.device import Device
from edge_client.planning.device_load import DeviceLoad, Times, thread_times

SECOND = 1e9


def device_load(times: Sequence[Times], limit_cores: Callable[[], float] = lambda: math.inf) -> DeviceLoad:
    left = iter(times)
    return DeviceLoad(lambda: 0.0, times=lambda: next(left), limit_cores=limit_cores)


def test_a_devices_load_is_the_share_of_time_that_it_stood_in_line() -> None:
    load = device_load([(0.0, 0.0), *((30.0 * n, 10.0 * n) for n in range(1, 41))])
    load.ran()
    assert load.expected() == pytest.approx(0.05)
    assert load.lately == 0.25
    for _ in range(39):
        load.ran()
    assert load.expected() == pytest.approx(0.25, abs=1e-3)
    still = device_load([(5.0, 5.0)] * 2)
    still.ran()
    assert (still.expected(), still.lately) == (0.0, 0.0)


def test_a_device_that_was_slowed_down_shows_it_in_one_slow_frame() -> None:
    load = device_load([(0, 0), (0.01 * SECOND, 0), (0.11 * SECOND, 0.9 * SECOND), (0.12 * SECOND, 0.9 * SECOND)])
    load.ran()
    assert load.expected() == 0.0
    load.ran()
    assert load.expected() == pytest.approx(0.9 * (1 - math.exp(-2)))
    assert load.lately == pytest.approx(0.9)
    load.ran()
    assert load.expected() > 0.6, "one quick frame says little"
    assert load.lately == 0.0


@pytest.mark.parametrize(("cores", "load"), [(0.1, 0.9), (0.5, 0.5), (1.0, 0.0), (4.0, 0.0), (math.inf, 0.0)])
def test_a_quota_is_known_before_it_was_felt(cores: float, load: float) -> None:
    assert device_load([(0, 0)], lambda: cores).expected() == pytest.approx(load)


def test_what_others_take_beyond_the_quota_counts() -> None:
    load = device_load([(0, 0), (0.01 * SECOND, 100 * SECOND)], lambda: 0.5)
    load.ran()
    assert load.expected() == pytest.approx(1.0, abs=1e-3)


def test_a_quota_is_looked_at_twice_a_second() -> None:
    now_s, cores, looked = [0.0], 0.5, 0

    def limit() -> float:
        nonlocal looked
        looked += 1
        return cores

    load = DeviceLoad(lambda: now_s[0], times=lambda: (0.0, 0.0), limit_cores=limit)
    assert load.expected() == 0.5
    cores = 0.1
    for now_s[0] in (0.1, 0.2, 0.4):
        assert load.expected() == 0.5
    now_s[0] = 0.5
    assert load.expected() == 0.9
    assert looked == 2


def test_what_a_frame_takes_beside_its_head_is_the_median_of_the_latest_five() -> None:
    processor_s = 0.0
    device = Device(load=device_load([(0, 0)] * 99), processor_s=lambda: processor_s)
    for overhead_s in (0.5, 0.012, 0.013, 0.4, 0.011, 0.012, 0.013):  # the first is that of starting
        processor_s += overhead_s
        device.begins()
        processor_s += 0.2  # its head
        device.coded()
    assert device.overhead_s == pytest.approx(0.013)


def test_a_frame_that_is_never_coded_adds_its_head_to_no_other() -> None:
    processor_s = [0.0]
    device = Device(load=device_load([(0, 0)] * 99), processor_s=lambda: processor_s[0])
    for coded in (True, False, False, True, False, True):
        processor_s[0] += 0.01
        device.begins()
        processor_s[0] += 5.0  # its head
        if coded:
            device.coded()
    assert device.overhead_s == pytest.approx(0.01)


def test_plans_that_found_the_link_busy_are_no_frames_overhead() -> None:
    processor_s = [0.0]
    device = Device(load=device_load([(0, 0)] * 99), processor_s=lambda: processor_s[0])
    for busy in (0, 40, 3, 400):
        device.plans()
        for _ in range(busy):
            processor_s[0] += 0.002  # the plan, and waiting for the next
            device.plans()
        processor_s[0] += 0.003  # the plan that stands, taking the frame
        device.begins()
        processor_s[0] += 0.2
        device.coded()
        processor_s[0] += 0.01  # handing it on
    assert device.overhead_s == pytest.approx(0.013)


@pytest.mark.parametrize(("waited", "overhead_s"), [(0.0, 0.11), (0.75, 0.035)])
def test_what_prompts_took_of_the_processor_is_overhead(waited: float, overhead_s: float) -> None:
    processor_s = [0.0]
    times = [(n * (1 - waited), n * waited) for n in range(99)]
    device = Device(load=device_load(times), processor_s=lambda: processor_s[0])
    for _ in range(6):
        processor_s[0] += 0.01
        device.begins()
        processor_s[0] += 0.2
        device.coded(beside_s=0.1)
    assert device.overhead_s == pytest.approx(overhead_s)


def test_nothing_is_said_of_it_before_the_second_frame() -> None:
    device = Device(load=device_load([(0, 0)] * 9), processor_s=lambda: 7.0)
    assert device.overhead_s == 0.0
    device.begins()
    device.coded()
    assert device.overhead_s == 0.0


def test_a_thread_that_works_is_seen_by_the_kernels_own_counters() -> None:
    device = Device()
    for _ in range(3):
        device.begins()
        sum(range(200_000))
        device.coded()
        sum(range(400_000))
    device.begins()
    assert 0 < device.overhead_s < 5
    assert 0 <= device.waited <= 1
    assert 0 <= device.load <= 1


def test_a_frame_that_was_coded_is_one_of_which_the_load_hears() -> None:
    device = Device(load=device_load([(0, 0), (SECOND, 3 * SECOND)]), processor_s=lambda: 0.0)
    device.begins()
    device.coded()
    assert device.waited == 0.75
    assert device.load > 0.7


def burn(until_s: float) -> None:
    while time.thread_time() < until_s:
        pass


def test_what_another_thread_takes_meanwhile_is_no_frames() -> None:
    """A live camera's decodes 25 pictures a second, however few of them a thin link carries."""
    device = Device()
    device.begins()
    device.coded()
    thread = Thread(target=burn, args=(0.1,))
    thread.start()
    thread.join()
    burn(time.thread_time() + 0.02)
    device.begins()
    assert 0.02 <= device.overhead_s < 0.1


@pytest.mark.skipif(not Path("/proc/thread-self/schedstat").exists(), reason="the kernel counts no waiting of threads")
def test_what_the_kernel_says_is_of_this_thread_and_what_it_ran_comes_first() -> None:
    """The kernel counts what a thread ran in two places; only of the thread that asks are the two the same."""
    found: list[tuple[float, float, float]] = []

    def look() -> None:
        burn(0.05)
        before_ns = time.thread_time_ns()
        ran_ns, _ = thread_times()
        found.append((before_ns, ran_ns, time.thread_time_ns()))

    burn(0.2)
    thread = Thread(target=look)
    thread.start()
    thread.join()
    before_ns, ran_ns, after_ns = found[0]
    assert before_ns <= ran_ns <= after_ns


def test_counters_of_another_thread_or_none_at_all_are_no_load() -> None:
    """They go back where another thread encodes from now on, or where they could not be read for a moment."""
    load = device_load([(3 * SECOND, SECOND), (2.9 * SECOND, 1.3 * SECOND), (0.0, 0.0), (0.1 * SECOND, 0.1 * SECOND)])
    for _ in range(2):
        load.ran()
        assert (load.expected(), load.lately) == (0.0, 0.0)
    load.ran()
    assert load.lately == 0.5
