"""Alerts rest on what the programs export, each is tested both ways, and each tells what to do."""

import re
from pathlib import Path

import pytest

from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.scaling.metrics import ScaleMetrics
from orchestrator.telemetry.metrics import Metrics
from tests.docs.blocks import blocks_of, shell_lines
from tests.docs.commands import parse
from tests.unit.monitoring.rules import ROOT, RUNBOOKS, Rule, alerts, cases, rules

LEVEL = r"(?:fleet|bundle|group|server):narrows_[a-z_]+:[a-z_]+[0-9]*[mhd]?"
IN_LINE = re.compile(r"`([^`]*\bnarrows (?!edge`)[a-z][^`]*)`")


def test_rules_rest_on_metrics_that_are_exported_or_recorded() -> None:
    exported = {
        name
        for registry in (Metrics().registry, ScaleMetrics().registry, ProcessMetrics("1").registry)
        for family in registry.collect()
        for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }
    recorded = {rule.name for rule in rules() if not rule.is_alert}
    for rule in rules():
        named = set(re.findall(r"(?<![:\w])narrows_\w+", rule.expression))
        assert named <= exported, rule.name
        assert set(re.findall(LEVEL, rule.expression)) <= recorded, rule.name


def test_recording_rules_are_named_by_level_metric_and_operation() -> None:
    assert [rule.name for rule in rules() if not (rule.is_alert or re.fullmatch(LEVEL, rule.name))] == []


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_says_how_urgent_it_is_what_it_means_and_what_to_do(alert: Rule) -> None:
    assert alert.labels["severity"] in {"critical", "warning", "info"}
    assert set(alert.annotations) == {"summary", "description", "runbook"}
    assert all(alert.annotations.values())
    runbook = (ROOT / alert.annotations["runbook"]).read_text()
    assert "\n## Look\n" in runbook
    assert "\n## Do\n" in runbook


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_is_shown_to_fire_and_to_stay_silent(alert: Rule) -> None:
    assert {fires for name, fires in cases() if name == alert.name} == {True, False}


def test_no_runbook_is_left_over() -> None:
    named = {ROOT / alert.annotations["runbook"] for alert in alerts()}
    assert named == set(RUNBOOKS.glob("*.md"))


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_the_commands_of_a_runbook_are_typed_right(runbook: Path) -> None:
    in_blocks = [line for block in blocks_of(runbook) for line in shell_lines(block) if "narrows " in line]
    in_text = IN_LINE.findall(re.sub(r"```.*?```", "", runbook.read_text(), flags=re.DOTALL))
    for line in (*in_blocks, *in_text):
        parse(line[line.index("narrows ") :])


def test_the_page_lists_the_alerts_as_they_are() -> None:
    page = (ROOT / "monitoring" / "README.md").read_text()
    listed = re.findall(r"^\| \[(\w+)\]\((runbooks/\w+\.md)\) \| (\w+) \|", page, re.MULTILINE)
    there = [
        (each.name, each.annotations["runbook"].removeprefix("monitoring/"), each.labels["severity"])
        for each in alerts()
    ]
    assert sorted(listed) == sorted(there)
