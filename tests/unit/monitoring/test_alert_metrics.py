"""Alerts rest on metrics that the programs export, and the documents name the same."""

import re
from pathlib import Path

from orchestrator.autoscale.metrics import ScaleMetrics
from orchestrator.metrics import Metrics

ROOT = Path(__file__).parents[3]
RULES = (ROOT / "monitoring/rules/autoscaling.yml").read_text()


def test_alerts_rest_on_metrics_that_are_exported() -> None:
    exported = {
        sample.removesuffix("_total")
        for registry in (Metrics().registry, ScaleMetrics().registry)
        for sample in (family.name for family in registry.collect())
    }
    named = set(re.findall(r"\bnarrows_\w+", "\n".join(re.findall(r"expr: (.*)", RULES))))
    assert named
    assert {name.removesuffix("_total") for name in named} <= exported


def test_the_document_lists_the_alerts_as_they_are() -> None:
    page = (ROOT / "docs/autoscaling.md").read_text()
    for expression in re.findall(r"expr: (.*)", RULES):
        assert f"`{expression}`" in page
