"""What is waited for is said at once, when it changes, and now and again."""

from narrows.runtime.reminder import REMIND_S, Reminder


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_it_is_said_at_once_and_again_every_half_minute() -> None:
    clock = Clock()
    reminder = Reminder(clock=clock)
    said_s = []
    for second in range(61):
        clock.now_s = 100.0 + second
        if reminder.due("Redis does not answer"):
            said_s.append(second)
    assert said_s == [0, REMIND_S, 2 * REMIND_S]


def test_other_words_are_said_at_once() -> None:
    reminder = Reminder(clock=Clock())
    assert [reminder.due(words) for words in ("a", "a", "b", "b", "a")] == [True, False, True, False, True]


def test_what_comes_back_is_said_at_once() -> None:
    reminder = Reminder(clock=Clock())
    assert not reminder.over()
    assert reminder.due("a")
    assert reminder.over()
    assert not reminder.over()
    assert reminder.due("a")
