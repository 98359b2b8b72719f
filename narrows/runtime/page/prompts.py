"""Prompts between a browser and a page: in shares of the picture's sides, for a browser shows it at any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from narrows.contract.errors import PromptInvalid
from narrows.contract.records.prompts import MOST_POINTS, SourcePrompt
from narrows.runtime.prompting import Box, Point, Prompt
from narrows.runtime.prompting.states import in_words

MOST_PROMPT_BYTES = 4096


def prompt_of(asked: Mapping[str, Any], width: int, height: int) -> Prompt:
    """A prompt of ``box`` (left, top, width, height), ``points`` (x, y and whether it is on the thing), or both.

    Raises:
        PromptInvalid: it is none.
    """
    try:
        box = None
        if asked.get("box") is not None:
            x, y, wide, high = map(float, asked["box"])
            box = Box(x * width, y * height, wide * width, high * height)
        points = tuple(_point(each, width, height) for each in asked.get("points") or ())
    except (TypeError, ValueError):
        raise PromptInvalid("a prompt is a box of four shares of the picture's sides, or points of two") from None
    if len(points) > MOST_POINTS:
        raise PromptInvalid(f"{len(points)} points: {MOST_POINTS} are the most")
    return Prompt(box, points)


def _point(given: Any, width: int, height: int) -> Point:  # noqa: ANN401 -- a browser's
    x, y, *rest = given
    if rest and rest not in ([True], [False]):
        raise ValueError(given)
    return Point(float(x) * width, float(y) * height, positive=rest != [False])


def prompt_json(prompt: SourcePrompt, state: str, frames_per_s: float, now_ms: float) -> dict[str, Any]:
    """A prompt for the browser, with what became of it."""
    width, height = prompt.width, prompt.height
    box = prompt.box
    return {
        "id": prompt.id,
        "version": prompt.version,
        "state": state,
        "words": in_words(state),
        "frames_per_s": frames_per_s,
        "who": prompt.who,
        "expires_s": max(0, int(prompt.expires_ms - now_ms) // 1000),
        "box": box and [box.x / width, box.y / height, box.width / width, box.height / height],
        "points": [[point.x / width, point.y / height, point.positive] for point in prompt.points],
    }


def whole_number(given: object, what: str) -> int:
    """A number that a browser sent.

    Raises:
        PromptInvalid: it is none.
    """
    try:
        return int(str(given))
    except ValueError:
        raise PromptInvalid(f"{what} is a whole number, not {str(given)[:40]!r}") from None
