from narrows.runtime.backoff import Backoff


def test_delays_double_up_to_a_cap_each_drawn_from_its_upper_half() -> None:
    backoff = Backoff(first_s=1.0, longest_s=8.0)
    delays_s = [backoff.next_delay_s() for _ in range(6)]
    for delay_s, ceiling_s in zip(delays_s, (1, 2, 4, 8, 8, 8), strict=True):
        assert ceiling_s / 2 <= delay_s <= ceiling_s


def test_after_a_success_they_begin_small_again() -> None:
    backoff = Backoff(first_s=1.0, longest_s=8.0)
    for _ in range(5):
        backoff.next_delay_s()
    backoff.reset()
    assert backoff.next_delay_s() <= 1.0


def test_no_number_of_failures_makes_them_overflow() -> None:
    backoff = Backoff(first_s=0.1, longest_s=1.0)
    assert all(backoff.next_delay_s() <= 1.0 for _ in range(3000))


def test_two_that_fail_together_do_not_try_again_together() -> None:
    first, second = Backoff(), Backoff()
    assert [first.next_delay_s() for _ in range(8)] != [second.next_delay_s() for _ in range(8)]
