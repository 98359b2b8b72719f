"""What someone points with: a box, points on the thing and points beside it, in pixels of the source picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from narrows.contract.errors import PromptInvalid
from narrows.contract.records.prompts import MOST_POINTS, SourceBox, SourcePoint, SourcePrompt


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: its top left corner and its sides, pixels; edges lie between pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The edge opposite ``x``."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The edge opposite ``y``."""
        return self.y + self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle, (x, y)."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def longer_side(self) -> float:
        """Width or height, whichever is more."""
        return max(self.width, self.height)

    def within(self, width: int, height: int) -> Box:
        """What of it lies in a picture of ``width`` x ``height`` pixels, some of which it holds."""
        if self.x >= 0 and self.y >= 0 and self.right <= width and self.bottom <= height:
            return self
        x, y = max(0.0, self.x), max(0.0, self.y)
        return Box(x, y, min(width, self.right) - x, min(height, self.bottom) - y)


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the thing, or with ``positive=False`` one beside it; the first pixel's centre is (0.5, 0.5)."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Prompt:
    """A box, points, or both: enough to say which thing is meant.

    Example:
        >>> Prompt(points=(Point(40.5, 30.5), Point(80.5, 30.5, positive=False))).positives
        (Point(x=40.5, y=30.5, positive=True),)
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()

    @classmethod
    def of_record(cls, record: SourcePrompt) -> Prompt:
        """The prompt that a record holds."""
        box = None if record.box is None else Box(record.box.x, record.box.y, record.box.width, record.box.height)
        return cls(box, tuple(Point(point.x, point.y, point.positive) for point in record.points))

    def recorded(self) -> tuple[SourceBox | None, tuple[SourcePoint, ...]]:
        """Its box and its points as a record holds them."""
        box = self.box
        return (
            None if box is None else SourceBox(box.x, box.y, box.width, box.height),
            tuple(SourcePoint(point.x, point.y, point.positive) for point in self.points),
        )

    @property
    def positives(self) -> tuple[Point, ...]:
        """The points on the thing."""
        return tuple(point for point in self.points if point.positive)

    def within(self, width: int, height: int) -> Prompt:
        """The same where its box ends at the edges of a picture of ``width`` x ``height`` pixels.

        What is looked at is as large as the box: one that is as large as a record allows would take a camera's memory.

        Raises:
            PromptInvalid: as :meth:`check`.
        """
        self.check(width, height)
        return self if self.box is None else replace(self, box=self.box.within(width, height))

    def check(self, width: int, height: int) -> None:
        """Refuse what points at nothing in a picture of ``width`` x ``height`` pixels.

        Raises:
            PromptInvalid: it says what is wrong and what to send.
        """
        if self.box is None and not self.positives:
            raise PromptInvalid("the prompt has neither a box nor a point on the thing: negative points only take away")
        if len(self.points) > MOST_POINTS:
            raise PromptInvalid(f"the prompt has {len(self.points)} points; at most {MOST_POINTS} are taken")
        if self.box is not None:
            _check_box(self.box, width, height)
        for point in self.points:
            _check_point(point, width, height)


def _check_box(box: Box, width: int, height: int) -> None:
    sides = (box.x, box.y, box.width, box.height)
    if not all(map(math.isfinite, sides)):
        raise PromptInvalid(f"box {sides}: every number must be finite")
    if box.width <= 0 or box.height <= 0:
        raise PromptInvalid(f"box {sides} has no area: width and height must be more than 0")
    if box.x >= width or box.y >= height or box.right <= 0 or box.bottom <= 0:
        raise PromptInvalid(f"box {sides} lies outside the picture of {width} x {height} pixels")


def _check_point(point: Point, width: int, height: int) -> None:
    if not (0 <= point.x <= width and 0 <= point.y <= height):
        raise PromptInvalid(f"point ({point.x}, {point.y}) lies outside the picture of {width} x {height} pixels")
