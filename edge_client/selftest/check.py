"""One line of the self-test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Frames will be sent, but somebody should look."""
    FAIL = "fail"
    """No frame can be sent so."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do unless all is well."""

    level: Level
    subject: str
    detail: str
    remedy: str = ""


def ok(subject: str, detail: str) -> Check:
    """All is well."""
    return Check(Level.OK, subject, detail)


def warn(subject: str, detail: str, remedy: str) -> Check:
    """Frames will be sent, but somebody should look."""
    return Check(Level.WARN, subject, detail, remedy)


def fail(subject: str, detail: str, remedy: str) -> Check:
    """No frame can be sent so."""
    return Check(Level.FAIL, subject, detail, remedy)
