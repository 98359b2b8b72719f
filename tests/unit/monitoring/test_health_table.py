"""Page, doctor, alerts, dashboards and the autoscaler judge by one table of thresholds."""

from __future__ import annotations

import math
import re

import pytest

from monitoring.grafana.write import dashboards
from narrows.ops.doctor import dispatcher
from narrows.runtime.finding import Level
from orchestrator.page.fleet import FleetHistory
from orchestrator.page.verdict import HealthLevel, judge
from orchestrator.scaling.settings import PolicySettings
from orchestrator.telemetry.health import (
    DISPATCHER_BUSY,
    JUDGEMENTS,
    LOAD,
    MASKS,
    MASKS_IN_TIME,
    REDIS_MEMORY,
    Judgement,
    Severity,
    table,
)
from tests.unit.monitoring.rules import ROOT, Rule, alerts

ALERTS = {alert.name: alert for alert in alerts()}
RESTING = [(each, ALERTS[name], severity) for each in JUDGEMENTS for name, severity in each.alerts]
BUDGETS = {"freshness": MASKS_IN_TIME, "completeness": MASKS}


def flat(words: str) -> str:
    return " ".join(words.split())


@pytest.mark.parametrize(("judgement", "alert", "severity"), RESTING, ids=lambda each: getattr(each, "name", ""))
def test_an_alert_compares_the_signal_with_the_threshold_of_its_severity(
    judgement: Judgement, alert: Rule, severity: Severity
) -> None:
    assert alert.labels["severity"] == severity
    if judgement.query:
        compared = judgement.comparison(severity)
        assert re.fullmatch(rf"{re.escape(compared)}( and .*)?", flat(alert.expression)), compared
    else:
        budget = f"{1 - judgement.threshold(Severity.WARNING):g}"
        assert BUDGETS[alert.labels["slo"]] is judgement
        assert set(re.findall(r"> [\d.]+ \* ([\d.]+)", alert.expression)) == {budget}


def test_alerts_on_a_signal_of_the_table_are_in_the_table() -> None:
    named = {name for each in JUDGEMENTS for name, _ in each.alerts}
    for query in (each.query for each in JUDGEMENTS if each.query):
        assert {alert.name for alert in alerts() if flat(alert.expression).startswith(query)} <= named


def test_the_monitoring_page_has_the_table_as_it_is() -> None:
    assert table() in (ROOT / "monitoring" / "README.md").read_text()


@pytest.mark.parametrize(
    ("load", "severity"),
    [
        (math.nan, Severity.OK),
        (0.88, Severity.OK),
        (0.899, Severity.OK),
        (0.9, Severity.WARNING),
        (0.999, Severity.WARNING),
        (1.0, Severity.CRITICAL),
        (math.inf, Severity.CRITICAL),
    ],
)
def test_a_load_is_as_bad_on_the_page_as_in_the_doctor(load: float, severity: Severity) -> None:
    view = FleetHistory().take({}, {})
    page = judge(type(view)(**{name: getattr(view, name) for name in view.__slots__} | {"load": load}), [], "").level
    assert LOAD.severity(load) is severity
    assert page is {"ok": HealthLevel.WELL, "warning": HealthLevel.WATCH, "critical": HealthLevel.ILL}[severity]
    assert (
        dispatcher.judge_load("ab", load).level
        is {"ok": Level.OK, "warning": Level.WARN, "critical": Level.FAIL}[severity]
    )


@pytest.mark.parametrize(
    ("judgement", "value", "severity"),
    [
        (MASKS_IN_TIME, 0.99, Severity.OK),
        (MASKS_IN_TIME, 0.9899, Severity.WARNING),
        (MASKS_IN_TIME, 0.0, Severity.WARNING),
        (MASKS_IN_TIME, math.nan, Severity.OK),
        (REDIS_MEMORY, 0.8, Severity.WARNING),
        (REDIS_MEMORY, 0.95, Severity.CRITICAL),
    ],
)
def test_which_side_is_bad_depends_on_the_signal(judgement: Judgement, value: float, severity: Severity) -> None:
    assert judgement.severity(value) is severity


def test_a_fleet_at_the_autoscalers_highest_aim_is_well_and_both_find_a_dispatcher_busy_at_once() -> None:
    settings = PolicySettings()
    assert LOAD.severity(settings.target_load) is Severity.OK
    assert settings.saturated == DISPATCHER_BUSY.threshold(Severity.WARNING)


def test_a_severity_that_a_judgement_lacks_has_no_threshold() -> None:
    with pytest.raises(ValueError, match="masks has no threshold for critical"):
        MASKS.threshold(Severity.CRITICAL)


def test_dashboards_turn_green_at_the_objectives() -> None:
    for judgement in (MASKS_IN_TIME, MASKS):
        assert f'"value": {judgement.warning}' in dashboards()["fleet.json"]
