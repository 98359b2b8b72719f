"""The rules and their tests as they lie in ``monitoring/rules``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
RULES = ROOT / "monitoring" / "rules"
RUNBOOKS = ROOT / "monitoring" / "runbooks"


@dataclass(frozen=True)
class Rule:
    """An alert or a recording rule, by its name."""

    name: str
    is_alert: bool
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]


def rules() -> list[Rule]:
    """Every rule of every file."""
    return [_rule(raw) for path in sorted(RULES.glob("*.yml")) for raw in _raw(path)]


def alerts() -> list[Rule]:
    """Those that alert."""
    return [rule for rule in rules() if rule.is_alert]


def cases() -> Iterator[tuple[str, bool]]:
    """Each alert that promtool is asked for, and whether it is to fire."""
    for path in sorted((RULES / "tests").glob("*_test.yml")):
        for case in yaml.safe_load(path.read_text())["tests"]:
            for asked in case["alert_rule_test"]:
                yield asked["alertname"], bool(asked.get("exp_alerts"))


def _raw(path: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def _rule(raw: dict[str, Any]) -> Rule:
    name = raw.get("alert") or raw["record"]
    return Rule(name, "alert" in raw, str(raw["expr"]), raw.get("labels", {}), raw.get("annotations", {}))
