"""Prompts as people type them: ``x,y,width,height`` and ``x,y`` or ``x,y,-``."""

from __future__ import annotations

from collections.abc import Sequence

from narrows.contract.errors import PromptInvalid
from narrows.runtime.prompting.prompt import Box, Point, Prompt


def parse_prompt(box: str | None, points: Sequence[str]) -> Prompt:
    """A prompt of a box and points, in pixels.

    Raises:
        PromptInvalid: a text is none.

    Example:
        >>> parse_prompt(None, ["40,30", "80,30,-"]).points
        (Point(x=40.0, y=30.0, positive=True), Point(x=80.0, y=30.0, positive=False))
    """
    return Prompt(None if box is None else parse_box(box), tuple(parse_point(each) for each in points))


def parse_box(text: str) -> Box:
    """Read ``x,y,width,height``.

    Raises:
        PromptInvalid: it is none.
    """
    numbers = _numbers(text.split(","), text, "a box is x,y,width,height in pixels: 120,80,200,150")
    if len(numbers) != 4:
        raise PromptInvalid(f"{text!r}: a box is x,y,width,height in pixels: 120,80,200,150")
    return Box(*numbers)


def parse_point(text: str) -> Point:
    """Read ``x,y``, or ``x,y,-`` of a place beside the thing.

    Raises:
        PromptInvalid: it is none.
    """
    told = "a point is x,y in pixels, or x,y,- beside the thing"
    parts = text.split(",")
    positive = not (len(parts) == 3 and parts[2].strip() == "-")
    numbers = _numbers(parts if positive else parts[:2], text, told)
    if len(numbers) != 2:
        raise PromptInvalid(f"{text!r}: {told}")
    return Point(numbers[0], numbers[1], positive)


def _numbers(parts: Sequence[str], text: str, told: str) -> list[float]:
    try:
        return [float(part) for part in parts]
    except ValueError:
        raise PromptInvalid(f"{text!r}: {told}") from None


def parse_size(text: str) -> tuple[int, int]:
    """Read ``WIDTHxHEIGHT``.

    Raises:
        PromptInvalid: it is none.
    """
    width, _, height = text.partition("x")
    try:
        return int(width), int(height)
    except ValueError:
        raise PromptInvalid(f"{text!r}: a size is WIDTHxHEIGHT in pixels: 1920x1080") from None
