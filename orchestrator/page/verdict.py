"""The first question: is the fleet well? Answered in words, from the figures that the page shows below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.page.fleet import FleetView
from orchestrator.page.rows import Row
from orchestrator.page.states import StreamState

OBJECTIVE_SHARE = 0.99
HIGH_LOAD = 0.8
OLD_BACKLOG_S = 2.0
_FEWEST_FRAMES = 20
_DIED_LATELY_S = 3600.0


class HealthLevel(StrEnum):
    """How well; the worst finding decides."""

    WELL = "well"
    WATCH = "watch"
    ILL = "ill"


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """Something that is not as it should be: how bad, and what."""

    level: HealthLevel
    text: str


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """The answer. ``text`` holds no figure that changes by the second: it is read aloud when it changes."""

    level: HealthLevel
    text: str
    findings: tuple[HealthFinding, ...]


def judge(fleet: FleetView | None, rows: Sequence[Row], redis_trouble: str) -> HealthVerdict:
    """What there is to say, the worst first."""
    findings = [HealthFinding(HealthLevel.ILL, redis_trouble)] if redis_trouble else []
    if fleet is not None:
        findings += _of_dispatchers(fleet) + _of_load(fleet) + _of_frames(fleet)
    findings += _of_streams(rows) if not redis_trouble else []
    order = list(HealthLevel)
    findings.sort(key=lambda finding: -order.index(finding.level))
    level = findings[0].level if findings else HealthLevel.WELL
    return HealthVerdict(level, _headline(level, rows, fleet), tuple(findings))


def _headline(level: HealthLevel, rows: Sequence[Row], fleet: FleetView | None) -> str:
    if level is HealthLevel.ILL:
        return "The fleet is not well"
    if level is HealthLevel.WATCH:
        return "The fleet needs watching"
    if fleet is None:
        return "Looking"
    return "The fleet is well" if rows else "Ready: no stream has been seen yet"


def _of_dispatchers(fleet: FleetView) -> list[HealthFinding]:
    level = HealthLevel.ILL if len(fleet.away) == fleet.dispatchers else HealthLevel.WATCH
    away = [HealthFinding(level, f"The dispatcher at {url} does not answer: {why}") for url, why in fleet.away.items()]
    return away + [HealthFinding(HealthLevel.ILL, f"Not ready: {reason}") for reason in fleet.not_ready]


def _of_load(fleet: FleetView) -> list[HealthFinding]:
    if fleet.load is None or fleet.load <= HIGH_LOAD:
        return []
    if fleet.load >= 1:
        return [HealthFinding(HealthLevel.ILL, "The load is above the capacity: frames are skipped or wait")]
    return [HealthFinding(HealthLevel.WATCH, f"The load is above {100 * HIGH_LOAD:.0f} % of the capacity")]


def _of_frames(fleet: FleetView) -> list[HealthFinding]:
    found = []
    share = fleet.in_time_share
    if share is not None and share < OBJECTIVE_SHARE and fleet.frames_due >= _FEWEST_FRAMES:
        found.append(
            HealthFinding(
                HealthLevel.WATCH, f"Fewer than {100 * OBJECTIVE_SHARE:.0f} % of frames had their mask within 500 ms"
            )
        )
    if fleet.backlog_age_s > OLD_BACKLOG_S:
        found.append(HealthFinding(HealthLevel.WATCH, f"Frames wait longer than {OLD_BACKLOG_S:.0f} s"))
    return found


def _of_streams(rows: Sequence[Row]) -> list[HealthFinding]:
    """Streams that stand still; those that were silent for an hour are nobody's surprise any more."""
    dead = [row for row in rows if row.state is StreamState.DEAD and (row.silent_s or 0.0) < _DIED_LATELY_S]
    stalled = [row for row in rows if row.state is StreamState.STALLED]
    found = []
    if stalled:
        found.append(HealthFinding(HealthLevel.ILL, f"{_streams(stalled)}: frames come and none ends"))
    if maskless := [row for row in rows if row.state is StreamState.NO_MASKS]:
        found.append(HealthFinding(HealthLevel.ILL, f"{_streams(maskless)}: frames come and end, and none in a mask"))
    if dead:
        found.append(HealthFinding(HealthLevel.WATCH, f"{_streams(dead)}: no frame comes any more"))
    return found


def _streams(rows: Sequence[Row]) -> str:
    if len(rows) <= 3:
        return ", ".join(row.stream for row in rows)
    return f"{len(rows)} streams, {rows[0].stream} among them"


def as_json(verdict: HealthVerdict) -> Mapping[str, object]:
    """For the browser."""
    return {
        "level": verdict.level,
        "text": verdict.text,
        "findings": [{"level": each.level, "text": each.text} for each in verdict.findings],
    }
