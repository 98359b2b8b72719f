"""The first question: is the fleet well? Answered in words, from the figures that the page shows below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.page.fleet import FleetView
from orchestrator.page.rows import Row
from orchestrator.page.states import StreamState
from orchestrator.telemetry.health import BACKLOG_AGE, LOAD, MASKS_IN_TIME, SILENT_STREAMS, Severity

_FEWEST_FRAMES = 20
_DIED_LATELY_S = 3600.0


class HealthLevel(StrEnum):
    """How well; the worst finding decides."""

    WELL = "well"
    WATCH = "watch"
    ILL = "ill"


_LEVELS = {
    Severity.OK: HealthLevel.WELL,
    Severity.WARNING: HealthLevel.WATCH,
    Severity.CRITICAL: HealthLevel.ILL,
}


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
    severity = Severity.OK if fleet.load is None else LOAD.severity(fleet.load)
    if severity is Severity.OK:
        return []
    if severity is Severity.CRITICAL:
        return [HealthFinding(_LEVELS[severity], "The load is above the capacity: frames are skipped or wait")]
    return [
        HealthFinding(_LEVELS[severity], f"The load is above {100 * LOAD.threshold(severity):.0f} % of the capacity")
    ]


def _of_frames(fleet: FleetView) -> list[HealthFinding]:
    found = []
    share = fleet.in_time_share
    in_time = Severity.OK if share is None or fleet.frames_due < _FEWEST_FRAMES else MASKS_IN_TIME.severity(share)
    if in_time is not Severity.OK:
        least = MASKS_IN_TIME.threshold(in_time)
        found.append(
            HealthFinding(_LEVELS[in_time], f"Fewer than {100 * least:.0f} % of frames had their mask within 500 ms")
        )
    backlog = BACKLOG_AGE.severity(fleet.backlog_age_s)
    if backlog is not Severity.OK:
        found.append(HealthFinding(_LEVELS[backlog], f"Frames wait longer than {BACKLOG_AGE.threshold(backlog):g} s"))
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
    silent = SILENT_STREAMS.severity(len(dead))
    if silent is not Severity.OK:
        found.append(HealthFinding(_LEVELS[silent], f"{_streams(dead)}: no frame comes any more"))
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
