"""The one table of what counts as too much: the page, the doctor, the alerts and the dashboards judge by it.

``tests/unit/monitoring/test_health_table.py`` holds the alert rules and the table in monitoring/README.md equal to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a value is; the two that are bad are an alert's ``severity``."""

    OK = "ok"
    WARNING = "warning"
    """For the next working day: it works, but not for long or not for all."""
    CRITICAL = "critical"
    """For now: frames are lost, skipped or refused, or are about to be."""


class Bad(StrEnum):
    """Which side of a threshold is bad, as PromQL's operator."""

    ABOVE = ">="
    BELOW = "<"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is made of one signal.

    Attributes:
        name: as in the table of monitoring/README.md.
        unit: ``ratio`` (0 to 1 unless it says otherwise), ``seconds`` or ``count``.
        bad: the side of the thresholds that is bad.
        warning, critical: the thresholds; ``None`` where there is no such severity.
        means: what is wrong there, and why the threshold is where it is.
        query: the signal in PromQL. An alert compares it; ``""`` where alerts judge how fast a budget burns.
        alerts: the alerts that rest on it, with their severities.
    """

    name: str
    unit: str
    bad: Bad
    warning: float | None
    critical: float | None
    means: str
    query: str
    alerts: tuple[tuple[str, Severity], ...]

    def severity(self, value: float) -> Severity:
        """How bad ``value`` is; NaN, which nobody measured, is not bad."""
        for severity, threshold in ((Severity.CRITICAL, self.critical), (Severity.WARNING, self.warning)):
            if threshold is not None and (value >= threshold if self.bad is Bad.ABOVE else value < threshold):
                return severity
        return Severity.OK

    def threshold(self, severity: Severity) -> float:
        """Where that severity begins.

        Raises:
            ValueError: this judgement has none.
        """
        found = {Severity.WARNING: self.warning, Severity.CRITICAL: self.critical}.get(severity)
        if found is None:
            raise ValueError(f"{self.name} has no threshold for {severity}")
        return found

    def comparison(self, severity: Severity) -> str:
        """The PromQL that is true from that severity on, as the alert rules have it."""
        return f"{self.query} {self.bad} {self.threshold(severity):g}"


LOAD = Judgement(
    name="load",
    unit="ratio",
    bad=Bad.ABOVE,
    warning=0.9,
    critical=1.0,
    means="offered work over capacity, of the busiest bundle. The autoscaler aims at 0.88 at most; from 1 on frames "
    "are skipped or wait",
    query="max(bundle:narrows_decoder_load_ratio:sum)",
    alerts=(("NarrowsLoadHigh", Severity.WARNING), ("NarrowsOverloaded", Severity.CRITICAL)),
)
BACKLOG_AGE = Judgement(
    name="backlog_age",
    unit="seconds",
    bad=Bad.ABOVE,
    warning=5.0,
    critical=None,
    means="how long the oldest frame without an end has waited: ten times the objective. The alert asks too that more "
    "come than end",
    query="fleet:narrows_backlog_age_seconds:max",
    alerts=(("NarrowsBacklogGrowing", Severity.WARNING),),
)
MASKS_IN_TIME = Judgement(
    name="masks_in_time",
    unit="ratio",
    bad=Bad.BELOW,
    warning=0.99,
    critical=None,
    means="realtime frames whose mask came within 500 ms: the objective. Alerts judge how fast its budget burns",
    query="",
    alerts=(("NarrowsMasksLateSlow", Severity.WARNING), ("NarrowsMasksLateFast", Severity.CRITICAL)),
)
MASKS = Judgement(
    name="masks",
    unit="ratio",
    bad=Bad.BELOW,
    warning=0.999,
    critical=None,
    means="admitted frames that end in a mask: the objective. Alerts judge how fast its budget burns",
    query="",
    alerts=(("NarrowsMasksMissingSlow", Severity.WARNING), ("NarrowsMasksMissingFast", Severity.CRITICAL)),
)
REDIS_MEMORY = Judgement(
    name="redis_memory",
    unit="ratio",
    bad=Bad.ABOVE,
    warning=0.8,
    critical=0.95,
    means="used of `maxmemory`. Nothing is evicted: a full server refuses cameras",
    query="redis_memory_used_bytes / (redis_memory_max_bytes > 0)",
    alerts=(("NarrowsRedisMemoryNearLimit", Severity.WARNING), ("NarrowsRedisFull", Severity.CRITICAL)),
)
DISPATCHER_BUSY = Judgement(
    name="dispatcher_busy",
    unit="ratio",
    bad=Bad.ABOVE,
    warning=0.9,
    critical=None,
    means="busy share of the busiest dispatcher's event loop. Frames wait for it; more decoders would not help, and "
    "the autoscaler adds none",
    query="max(narrows_scale_dispatcher_saturation)",
    alerts=(("NarrowsScaleDispatcherSaturated", Severity.WARNING),),
)
SILENT_STREAMS = Judgement(
    name="silent_streams",
    unit="count",
    bad=Bad.ABOVE,
    warning=1,
    critical=None,
    means="cameras that sent frames within the last day (the page: within the last hour) and send none",
    query='group:narrows_streams:sum{state="silent"}',
    alerts=(("NarrowsCameraSilent", Severity.WARNING),),
)
JUDGEMENTS = (LOAD, BACKLOG_AGE, MASKS_IN_TIME, MASKS, REDIS_MEMORY, DISPATCHER_BUSY, SILENT_STREAMS)


def table() -> str:
    """The table of monitoring/README.md."""
    head = "| signal | unit | warning | critical | means | alerts |\n|---|---|---|---|---|---|\n"
    return head + "".join(f"{_row(each)}\n" for each in JUDGEMENTS)


def _row(judgement: Judgement) -> str:
    sign = "from" if judgement.bad is Bad.ABOVE else "below"
    warning, critical = ("" if each is None else f"{sign} {each:g}" for each in (judgement.warning, judgement.critical))
    alerts = ", ".join(f"`{name}`" for name, _ in judgement.alerts)
    return f"| `{judgement.name}` | {judgement.unit} | {warning} | {critical} | {judgement.means} | {alerts} |"
