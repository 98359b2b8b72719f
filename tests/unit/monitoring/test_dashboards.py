"""The dashboards that are committed are those that the code makes, and each panel says what it shows."""

import json
import re
from itertools import combinations
from typing import Any

import pytest

from monitoring.grafana.write import FOLDER, dashboards
from orchestrator.autoscale.metrics import ScaleMetrics
from orchestrator.metrics import Metrics
from tests.unit.monitoring.rules import ROOT, rules

MADE = {name: json.loads(text) for name, text in dashboards().items()}


def panels(name: str) -> list[dict[str, Any]]:
    return list(MADE[name]["panels"])


def test_what_is_committed_is_what_the_code_makes() -> None:
    there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert there == dict(dashboards()), "run: make dashboards"


@pytest.mark.parametrize("name", MADE)
def test_each_panel_says_what_it_shows_in_which_unit_and_asks_the_provisioned_source(name: str) -> None:
    source = (ROOT / "monitoring/grafana/provisioning/datasources/prometheus.yml").read_text()
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert f"uid: {panel['datasource']['uid']}\n" in source


@pytest.mark.parametrize("name", MADE)
def test_no_panel_lies_over_another_or_beyond_the_edge(name: str) -> None:
    places = [panel["gridPos"] for panel in panels(name)]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = any(
            first[at] + first[size] <= second[at]
            for first, second in ((one, other), (other, one))
            for at, size in (("x", "w"), ("y", "h"))
        )
        assert apart, (one, other)


@pytest.mark.parametrize("name", MADE)
def test_queries_rest_on_what_is_exported_or_recorded(name: str) -> None:
    exported = {
        each
        for registry in (Metrics().registry, ScaleMetrics().registry)
        for family in registry.collect()
        for each in (family.name, *(f"{family.name}_{end}" for end in ("total", "bucket", "sum", "count")))
    }
    known = exported | {rule.name for rule in rules()}
    for panel in panels(name):
        for target in panel["targets"]:
            expression = re.sub(r"\b(?:redis|nv)_\w+", "", target["expr"])
            named = set(re.findall(r"(?:\w+:)?narrows_\w+(?::\w+)?", expression))
            assert named <= known, panel["title"]


@pytest.mark.parametrize("name", MADE)
def test_every_variable_is_used_and_every_one_used_is_there(name: str) -> None:
    text = json.dumps([MADE[name]["panels"], MADE[name].get("annotations", {})])
    used = {each for each in re.findall(r"\$(\w+)", text) if not each.startswith("__")}
    assert used == {variable["name"] for variable in MADE[name]["templating"]["list"]}
