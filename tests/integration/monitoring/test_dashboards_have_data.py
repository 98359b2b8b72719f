"""Every query of every dashboard has data, on a real Prometheus that scrapes the running stack."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from monitoring.grafana.fleet import AUDITED
from monitoring.grafana.gpu import NEED_A_GPU
from monitoring.grafana.write import FOLDER
from narrows.contract.bundle import Bundle
from narrows.ops.demo.reel import Reel
from narrows.ops.demo.stack import Camera, Stack
from orchestrator.servers import Guarded
from orchestrator.servers.ports import LOOPBACK, free_ports
from tests.docs.blocks import blocks_of
from tests.integration.monitoring.watched import MONITORING, Prometheus, expanded, watching

ROOT = Path(__file__).parents[3]
OVER_S = 120.0
GENEROUS_S = 240.0
NEEDED = ("prometheus", "prometheus-redis-exporter")
QUICK = (
    *("--engine", "none", "--interval", "0.5", "--max-instances", "2", "--target-load", "0.05", "--hysteresis", "0.02"),
    *("--policy", "cooldown_s=1", "--instance-settle-s", "3"),
)

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        any(shutil.which(each) is None for each in NEEDED), reason=f"apt-get install {' '.join(NEEDED)}: not there"
    ),
]


def queries() -> list[tuple[str, str]]:
    """Panel and expression of every query, annotations too."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        board = json.loads(path.read_text())
        places: list[dict[str, Any]] = [*board["panels"], *board.get("annotations", {}).get("list", [])]
        for place in places:
            name = f"{path.stem}: {place.get('title') or place['name']}"
            found += [(name, target["expr"]) for target in place.get("targets", [place]) if "expr" in target]
    return found


def variables() -> list[tuple[str, str]]:
    """Metric and label of every variable that asks for the values of one."""
    texts = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    asked = [each["query"] for board in texts for each in board["templating"]["list"] if each["type"] == "query"]
    found = (re.fullmatch(r"label_values\((\w+), (\w+)\)", query) for query in asked)
    return sorted({(match[1], match[2]) for match in found if match})


@pytest.fixture(scope="module")
def prometheus(demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The demo's stack with two cameras, an autoscaler and Redis' exporter, scraped."""
    folder = tmp_path_factory.mktemp("watched")
    scale, exporter = (f"{LOOPBACK}:{port}" for port in free_ports(2))
    with ExitStack() as parts:
        stack = parts.enter_context(Stack.start(demo_bundle, folder, Console(quiet=True)))
        metrics_port = stack.triton.metrics_address.rpartition(":")[2]
        autoscale = (sys.executable, "-m", "narrows.cli", "autoscale", "--redis-url", stack.redis.url, "--http", scale)
        commands = {
            "autoscale": (*autoscale, "--metrics-port", metrics_port, *QUICK),
            "exporter": (NEEDED[1], f"--redis.addr={stack.redis.url}", f"--web.listen-address={exporter}"),
        }
        for name, command in commands.items():
            parts.enter_context(Guarded.start(command, log=folder / f"{name}.log"))
        targets = {
            "dispatcher": {"address": stack.metrics_address},
            "autoscaler": {"address": scale},
            "triton": {"address": stack.triton.metrics_address, "server": stack.triton.grpc_address},
            "redis": {"address": exporter},
        }
        watched = parts.enter_context(watching(targets, folder / "prometheus"))
        _until(lambda: set(watched.targets().values()) == {"up"}, watched.targets)
        reel = Reel.open(ROOT / "samples")
        for number, name in enumerate(("cam-1", "cam-2")):
            reel.lay_out(stack.folder / name / "reel", number, 2)
            camera = Camera.start(stack, name, stack.folder / name / "reel", frames_per_s=2.0, frames=None, maxlen=256)
            parts.callback(camera.stop)
        yield watched


def test_every_panel_has_data_but_those_that_need_a_gpu_or_an_audit(prometheus: Prometheus) -> None:
    """But for decisions: an autoscaler that has as many servers as it needs takes none."""
    expected = NEED_A_GPU | {AUDITED}
    at_rest = {query for panel, query in queries() if panel == "autoscaler: Decisions"}
    assert at_rest

    def silent() -> set[str]:
        return {query for _, query in queries() if not prometheus.values(expanded(query, OVER_S), OVER_S)}

    allowed = expected | at_rest
    _until(lambda: silent() <= allowed, lambda: [(p, q) for p, q in queries() if q in silent() - allowed])
    assert silent() - at_rest == expected


def test_what_can_be_chosen_has_values(prometheus: Prometheus) -> None:
    assert {label for _, label in variables()} == {"bundle", "group", "instance", "server"}
    for metric, label in variables():
        assert prometheus.ask(f"label/{label}/values", **{"match[]": metric}), (metric, label)


def test_every_rule_is_evaluated_and_a_stack_that_works_wakes_nobody_for_a_cause(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
    assert {rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] == "firing"} <= {
        "NarrowsMasksLateFast",  # two cores that run other tests are late
        "NarrowsMasksMissingFast",
        "NarrowsFault",
        "NarrowsRestarted",
    }


@pytest.mark.parametrize("runbook", sorted((MONITORING / "runbooks").glob("*.md")), ids=lambda path: path.stem)
def test_the_queries_of_a_runbook_are_answered(prometheus: Prometheus, runbook: Path) -> None:
    lines = [line for block in blocks_of(runbook) if block.language == "promql" for line in block.text.splitlines()]
    assert lines
    for line in lines:
        assert prometheus.ask("query", query=line)["resultType"] == "vector"


def _until(there: Callable[[], bool], state: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + GENEROUS_S
    while not there():
        assert time.monotonic() < give_up_s, state()
        time.sleep(1.0)
