from hypothesis import given
from hypothesis import strategies as st

from orchestrator.inference.patience import AnswerDeadline


def test_nothing_is_called_hung_before_anything_was_answered() -> None:
    assert AnswerDeadline(30.0).bound_s == 30.0


def test_a_quick_server_is_given_two_seconds() -> None:
    patience = AnswerDeadline(30.0)
    patience.answered(0.02)
    assert patience.bound_s == 2.0


def test_a_slow_server_is_given_five_times_what_it_takes() -> None:
    patience = AnswerDeadline(30.0)
    patience.answered(0.5)
    assert patience.bound_s == 2.5


def test_one_late_answer_changes_little() -> None:
    patience = AnswerDeadline(30.0)
    for took_s in (0.05, 3.0):
        patience.answered(took_s)
    assert patience.bound_s == 2.0


def test_a_server_that_became_slow_is_believed() -> None:
    patience = AnswerDeadline(30.0)
    for took_s in (0.05, *(1.8,) * 40):
        patience.answered(took_s)
    assert patience.bound_s > 8.0


def test_time_outs_in_a_row_double_what_is_waited_for() -> None:
    patience = AnswerDeadline(30.0)
    patience.answered(0.02)
    patience.timed_out()
    patience.timed_out()
    assert patience.bound_s == 8.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 100))))
def test_the_bound_stays_between_two_seconds_and_the_most(answers: list[float | None]) -> None:
    patience = AnswerDeadline(30.0)
    for took_s in answers:
        patience.timed_out() if took_s is None else patience.answered(took_s)
        assert 2.0 <= patience.bound_s <= 30.0
