"""What stands beside others ends alone, and who is told of it is told once."""

import asyncio

import pytest

from orchestrator.dispatch.outermost import Outermost


async def test_an_error_ends_what_is_within_it_and_is_told_once_whatever_was_waited_for() -> None:
    told, done = list[tuple[str, str]](), list[str]()

    def tell(of: str, error: Exception) -> None:
        told.append((of, repr(error)))

    for of in ("a", "b", "c"):
        with Outermost(of, tell):
            await asyncio.sleep(0)
            if of == "b":
                raise KeyError(of)
            done.append(of)
    assert told == [("b", "KeyError('b')")]
    assert done == ["a", "c"]


async def test_a_cancellation_passes_and_nobody_is_told() -> None:
    told = list[Exception]()
    with pytest.raises(asyncio.CancelledError), Outermost("a", lambda _, error: told.append(error)):
        raise asyncio.CancelledError
    assert told == []


def test_an_answer_is_answered() -> None:
    def answers() -> str | None:
        with Outermost("a", lambda *_: None):
            return "found"
        return None

    assert answers() == "found"
