"""The list of streams: one row each.

Searched, sorted and cut into pages here, so that 2,000 streams cost a browser no more than ten.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from narrows.client.registry.camera_masks import Sent
from narrows.contract.wire import StreamSettings
from orchestrator.page.redis_view import DeadLetter, Pulse
from orchestrator.page.states import StreamState

LARGEST_PAGE = 96


@dataclass(frozen=True, slots=True)
class Row:
    """One stream as it stands. Rates are over the last seconds.

    Attributes:
        silent_s: ``None`` before its first frame.
        sends: ``None`` where it sends none, or no dispatcher says what.
    """

    stream: str
    state: StreamState
    silent_s: float | None
    mask_age_s: float | None
    frames_per_s: float
    masks_per_s: float
    skipped_per_s: float
    settings: StreamSettings
    registered: bool
    pulse: Pulse
    error: DeadLetter | None
    sends: Sent | None = None
    asked_for_masks: bool = False


class Order(StrEnum):
    """What comes first."""

    TROUBLE = "trouble"
    """Streams that stand still, get no masks or are dead, then by name."""
    NAME = "name"
    RATE = "rate"
    """The most masks a second."""
    OFFERED = "offered"
    """The most frames a second that came: who floods."""
    SKIPPED = "skipped"
    """The most frames a second that were skipped."""
    WAITING = "waiting"
    """The most frames without an end."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a visitor looks for: words in the stream's id or group, one state or all, and which page."""

    words: str = ""
    state: StreamState | None = None
    order: Order = Order.TROUBLE
    page: int = 1
    size: int = 12


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows: how many match in all, how many pages these are, and which one this is (from 1)."""

    rows: tuple[Row, ...]
    matching: int
    pages: int
    page: int


def page_of(rows: Sequence[Row], query: Query) -> Page:
    """The rows that match, in order, cut to a page; a page behind the last is the last."""
    words = query.words.lower().split()
    found = [
        row
        for row in rows
        if query.state in (None, row.state)
        and all(word in row.stream.lower() or word in row.settings.group.lower() for word in words)
    ]
    found.sort(key=lambda row: _rank(row, query.order))
    size = min(max(1, query.size), LARGEST_PAGE)
    pages = max(1, -(-len(found) // size))
    page = min(max(1, query.page), pages)
    return Page(tuple(found[(page - 1) * size : page * size]), len(found), pages, page)


def count_states(rows: Sequence[Row]) -> dict[StreamState, int]:
    """How many streams stand how."""
    return {state: sum(1 for row in rows if row.state is state) for state in StreamState}


def _rank(row: Row, order: Order) -> tuple[float, list[tuple[int, int, str]]]:
    name = natural(row.stream)
    if order is Order.TROUBLE:
        return float(list(StreamState).index(row.state)), name
    most = {
        Order.RATE: row.masks_per_s,
        Order.OFFERED: row.frames_per_s,
        Order.SKIPPED: row.skipped_per_s,
        Order.WAITING: float(row.pulse.waiting),
    }
    return -most.get(order, 0.0), name


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers within names as numbers: cam-2 before cam-10."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
