"""The dashboards that are committed are those that the code makes, and each panel says what it shows."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from monitoring.grafana.write import FOLDER, dashboards
from orchestrator.scaling.metrics import ScaleMetrics
from orchestrator.telemetry.metrics import Metrics
from tests.unit.monitoring.rules import ROOT, rules

MADE = {name: json.loads(text) for name, text in dashboards().items()}


SECONDS = re.compile(r"_seconds(?:_sum|_bucket)?(?=[{)\[ :]|$)")
FRAMES_PER_S = re.compile(r"rate\(narrows_\w*frames_total|narrows_\w*frames:rate|frames_per_second|clock_future_total")


def panels(name: str) -> list[dict[str, Any]]:
    return list(MADE[name]["panels"])


def drawn(name: str) -> list[dict[str, Any]]:
    """Panels that draw values; the list of alerts draws none."""
    return [panel for panel in panels(name) if panel["type"] != "alertlist"]


def overrides(panel: dict[str, Any], letter: str) -> dict[str, Any]:
    """What is set for the series of one query alone."""
    return {
        each["id"]: each["value"]
        for override in panel["fieldConfig"]["overrides"] or ()
        if override["matcher"] == {"id": "byFrameRefID", "options": letter}
        for each in override["properties"]
    }


def measured(name: str) -> Iterator[tuple[str, str, str]]:
    """Title, unit and expression of every query over time."""
    for panel in drawn(name):
        if panel["type"] == "xychart":
            continue
        for target in panel["targets"]:
            unit = overrides(panel, target["refId"]).get("unit", panel["fieldConfig"]["defaults"]["unit"])
            yield panel["title"], unit, target["expr"]


def test_what_is_committed_is_what_the_code_makes() -> None:
    there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert there == dict(dashboards()), "run: make dashboards"


@pytest.mark.parametrize("name", MADE)
def test_each_panel_says_what_it_shows_in_which_unit_and_asks_the_provisioned_source(name: str) -> None:
    source = (ROOT / "monitoring/grafana/provisioning/datasources/prometheus.yml").read_text()
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith(".")
    for panel in drawn(name):
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert f"uid: {panel['datasource']['uid']}\n" in source


@pytest.mark.parametrize("name", MADE)
def test_no_value_is_shown_as_a_bare_short_number(name: str) -> None:
    assert '"short"' not in json.dumps(MADE[name]["panels"])


@pytest.mark.parametrize("name", MADE)
def test_an_axis_has_values_of_one_unit(name: str) -> None:
    for panel in drawn(name):
        own = panel["fieldConfig"]["defaults"]["unit"]
        others = [overrides(panel, target["refId"]) for target in panel["targets"]]
        others = [each for each in others if each.get("unit", own) != own]
        assert len({each["unit"] for each in others}) <= 1, panel["title"]
        assert {each["custom.axisPlacement"] for each in others} <= {"right"}, panel["title"]


@pytest.mark.parametrize("name", MADE)
def test_seconds_are_shown_as_seconds_and_frames_a_second_as_frames_a_second(name: str) -> None:
    for title, unit, expression in measured(name):
        assert (unit == "s") == (SECONDS.search(expression) is not None), (title, expression)
        if FRAMES_PER_S.search(expression) and "/ scalar(" not in expression:
            assert unit == "count:frames/s", (title, expression)


@pytest.mark.parametrize("name", MADE)
def test_each_dashboard_leads_to_the_others(name: str) -> None:
    uids = {board["uid"] for board in MADE.values()}
    (to_all,) = MADE[name]["links"]
    assert (to_all["type"], to_all["keepTime"]) == ("dashboards", True)
    assert all(set(to_all["tags"]) <= set(board["tags"]) for board in MADE.values())
    linked = [link["url"] for panel in panels(name) for link in panel.get("links") or ()]
    targets = {match[1] for url in linked if (match := re.fullmatch(r"/d/([\w-]+)\?\$\{__url_time_range\}", url))}
    assert len(targets) >= 1
    assert targets <= uids - {MADE[name]["uid"]}


def test_the_first_screen_lists_the_alerts_and_lets_one_choose_dispatchers() -> None:
    (alerts,) = [panel for panel in panels("fleet.json") if panel["type"] == "alertlist"]
    source = (ROOT / "monitoring/grafana/provisioning/datasources/prometheus.yml").read_text()
    assert f"name: {alerts['options']['datasource']}\n" in source
    assert alerts["options"]["stateFilter"]["firing"]
    assert alerts["options"]["stateFilter"]["pending"]
    chosen = {
        panel["title"]
        for panel in drawn("fleet.json")
        if 'instance=~"$dispatcher"' in json.dumps(panel).replace("\\", "")
    }
    assert {"From entry to mask", "Backlog", "Camera clocks", "Frames ended by each dispatcher"} <= chosen


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
    for panel in drawn(name):
        for target in panel["targets"]:
            expression = re.sub(r"\b(?:redis|nv)_\w+", "", target["expr"])
            named = set(re.findall(r"(?:\w+:)?narrows_\w+(?::\w+)?", expression))
            assert named <= known, panel["title"]


@pytest.mark.parametrize("name", MADE)
def test_every_variable_is_used_and_every_one_used_is_there(name: str) -> None:
    text = json.dumps([MADE[name]["panels"], MADE[name].get("annotations", {})])
    used = {each for each in re.findall(r"\$(\w+)", text) if not each.startswith("__")}
    assert used == {variable["name"] for variable in MADE[name]["templating"]["list"]}
