"""Prompts on the page: what a browser may send, and that one slow answer of Redis holds no other visitor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Barrier, Event
from typing import Any

import pytest

from narrows.contract.errors import PromptInvalid, ServiceError
from narrows.contract.records.prompts import SourceBox, SourcePoint, SourcePrompt
from narrows.runtime.page.prompts import prompt_json, prompt_of, whole_number
from narrows.runtime.prompting import Box, Point, Prompt
from orchestrator.page.prompting import Prompting

PATIENCE_S = 60.0


@pytest.fixture
def prompting() -> Iterator[Prompting]:
    found = Prompting("redis://127.0.0.1:1/0")
    yield found
    found.close()


async def test_visitors_do_not_wait_for_one_another(prompting: Prompting) -> None:
    both = Barrier(2)
    answers = [prompting.run(lambda: {"place": both.wait(PATIENCE_S)}) for _ in range(2)]
    assert sorted(each["place"] for each in await asyncio.gather(*answers)) == [0, 1]


async def test_so_many_wait_for_a_slow_redis_and_the_next_one_is_told(prompting: Prompting) -> None:
    answered = Event()

    def slow() -> dict[str, Any]:
        assert answered.wait(PATIENCE_S)
        return {}

    waiting = [asyncio.ensure_future(prompting.run(slow)) for _ in range(64)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="64 visitors wait"):
        await prompting.run(slow)
    answered.set()
    assert await asyncio.gather(*waiting) == [{}] * 64
    assert await prompting.run(slow) == {}


def test_shares_of_the_picture_are_pixels_of_the_source_and_back() -> None:
    asked = {"box": [0.1, 0.2, 0.5, 0.25], "points": [[0.25, 0.5], [0.75, 0.5, False]]}
    prompt = prompt_of(asked, 640, 480)
    assert prompt == Prompt(Box(64, 96, 320, 120), (Point(160, 240), Point(480, 240, positive=False)))
    points = (SourcePoint(160, 240), SourcePoint(480, 240, positive=False))
    record = SourcePrompt(1, 7, 640, 480, 61_500, "ada", SourceBox(64, 96, 320, 120), points)
    told = prompt_json(record, "tracking", 2.5, 1000.0)
    assert told["box"] == [0.1, 0.2, 0.5, 0.25]
    assert told["points"] == [[0.25, 0.5, True], [0.75, 0.5, False]]
    assert (told["id"], told["state"], told["frames_per_s"], told["expires_s"]) == (1, "tracking", 2.5, 60)


@pytest.mark.parametrize(
    "asked",
    [
        {"box": [1, 2, 3]},
        {"box": "x"},
        {"points": [[1]]},
        {"points": [[0, 0, 1, 1]]},
        {"points": [[0, 0, None]]},
        {"points": [None]},
        {"points": [[0, 0]] * 17},
    ],
)
def test_what_is_no_prompt_is_refused_by_name(asked: dict[str, Any]) -> None:
    with pytest.raises(PromptInvalid):
        prompt_of(asked, 640, 480)


@pytest.mark.parametrize("given", [None, "x", "1.5", [], {}])
def test_what_is_no_number_is_refused_by_name(given: object) -> None:
    with pytest.raises(PromptInvalid, match="if_version is a whole number"):
        whole_number(given, "if_version")
    assert whole_number("7", "if_version") == 7
