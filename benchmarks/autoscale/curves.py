"""What can be had: violations against replica-hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Point:
    """One policy with one set of parameters on one trace."""

    violating_stream_seconds: float
    replica_hours: float
    decisions: int
    worst_backlog_age_s: float
    parameters: dict[str, float | int | str] = field(default_factory=dict)


def front(points: Iterable[Point]) -> list[Point]:
    """Those that no other beats, from the fewest hours to the fewest violations."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.replica_hours, p.violating_stream_seconds)):
        if not kept or point.violating_stream_seconds < kept[-1].violating_stream_seconds:
            kept.append(point)
    return kept


def dominates(rival: Point, ours: Point) -> bool:
    """Whether a rival has both fewer violations and fewer replica-hours."""
    return rival.violating_stream_seconds < ours.violating_stream_seconds and rival.replica_hours < ours.replica_hours


def hours_at(points: Sequence[Point], violations: float) -> float | None:
    """Replica-hours with which these points reach so few violations.

    Between two neighbours of the front by a straight line, which favours them: they could be had by turns. With more
    violations allowed than their cheapest point has, that point's hours. ``None`` where no point has so few: a curve is
    not drawn on beyond its end.
    """
    curve = front(points)
    if not curve or violations < curve[-1].violating_stream_seconds:
        return None
    if violations >= curve[0].violating_stream_seconds:
        return curve[0].replica_hours
    for more, fewer in pairwise(curve):
        if fewer.violating_stream_seconds <= violations <= more.violating_stream_seconds:
            span = more.violating_stream_seconds - fewer.violating_stream_seconds
            share = (violations - fewer.violating_stream_seconds) / span
            return fewer.replica_hours + share * (more.replica_hours - fewer.replica_hours)
    return None
