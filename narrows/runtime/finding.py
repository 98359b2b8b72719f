"""One line of what the doctor answers, and a camera's self-test; no detail holds a secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from narrows.runtime.redact import redact


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, but not for long or not for all."""
    FAIL = "fail"
    """It does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, and the remedy unless all is well."""

    level: Level
    subject: str
    detail: str
    remedy: str = ""


def ok(subject: str, detail: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, redact(detail))


def warn(subject: str, detail: str, remedy: str) -> Finding:
    """It works, but not for long or not for all."""
    return Finding(Level.WARN, subject, redact(detail), remedy)


def fail(subject: str, detail: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, subject, redact(detail), remedy)
