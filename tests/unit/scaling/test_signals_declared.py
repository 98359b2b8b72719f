"""A signal is declared once; whatever shows it follows."""

from __future__ import annotations

import json
from pathlib import Path

from narrows.contract.records.report import DispatcherReport
from orchestrator.scaling.metrics import ScaleMetrics
from orchestrator.scaling.observe import reported
from orchestrator.scaling.reason import Reason
from orchestrator.scaling.signals import SIGNALS, table
from orchestrator.scaling.status import Status

ROOT = Path(__file__).parents[3]
REPORTS = (
    DispatcherReport(name="a", at_ms=1, streams=3, saturation=0.2),
    DispatcherReport(name="b", at_ms=1, streams=4, saturation=0.7),
)


def test_each_signal_has_its_gauge() -> None:
    exported = {family.name for family in ScaleMetrics().registry.collect()}
    assert {each.metric for each in SIGNALS.values()} <= exported


def test_each_signal_stands_in_the_status_record() -> None:
    assert set(SIGNALS) <= set(Status.__struct_fields__)


def test_each_signal_has_a_panel() -> None:
    dashboard = json.loads((ROOT / "monitoring/grafana/dashboards/autoscaler.json").read_text())
    queries = json.dumps([panel.get("targets") for panel in dashboard["panels"]])
    forgotten = [each.metric for each in SIGNALS.values() if f"max({each.metric})" not in queries]
    assert not forgotten, f"run `make dashboards`: {forgotten}"


def test_each_signal_is_documented_as_it_is_declared() -> None:
    assert table() in (ROOT / "docs/autoscaling.md").read_text(), f"docs/autoscaling.md should have:\n{table()}"


def test_each_signal_can_be_shown_to_people() -> None:
    for name, each in SIGNALS.items():
        assert each.form.format(0) != each.form, f"the form of {name} shows no value"


def test_what_dispatchers_report_is_combined_as_declared() -> None:
    assert {"streams": 7, "dispatcher_saturation": 0.7}.items() <= reported(REPORTS).items()
    assert {"streams": 0, "dispatcher_saturation": 0.0}.items() <= reported(()).items()


def test_each_reason_of_a_decision_is_explained() -> None:
    page = (ROOT / "docs/autoscaling.md").read_text()
    rows = " ".join(line for line in page.splitlines() if line.startswith("| `"))
    assert not [each.value for each in Reason if f"`{each.value}`" not in rows], "a row of the table of reasons"


def test_each_field_that_is_combined_stands_in_the_report() -> None:
    for name, each in SIGNALS.items():
        assert each.report is None or each.report in DispatcherReport.__struct_fields__, name
