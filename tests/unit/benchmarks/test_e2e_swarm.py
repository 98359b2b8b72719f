"""The stack on two engines is the one of deploy/swarm, and a scene's account does not balance by itself."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.e2e_swarm.__main__ import merged
from benchmarks.e2e_swarm.cameras import line
from benchmarks.e2e_swarm.scenes import SCENES
from benchmarks.e2e_swarm.stack import Task, task_of
from benchmarks.e2e_swarm.stack_files import MONITORING, adapted, write_stack
from narrows.client.registry import StreamOverview
from narrows.contract.wire.streams import StreamSettings
from tests.unit.compose.stack_file import read

STACK = read("deploy/swarm/stack.yml")


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_runs_is_the_stack_without_its_monitoring(*, encrypted: bool) -> None:
    run = adapted(STACK, encrypted=encrypted)
    for name, service in run["services"].items():
        patient = {"healthcheck": STACK["services"][name].get("healthcheck", {}) | {"timeout": "30s", "retries": 24}}
        assert service == STACK["services"][name] | patient
    assert set(STACK["services"]) - set(run["services"]) == set(MONITORING)
    assert {key: run[key] for key in ("secrets", "volumes", "version")} == {
        key: STACK[key] for key in ("secrets", "volumes", "version")
    }


def test_networks_stay_closed_where_the_kernel_cannot_encrypt_them() -> None:
    def closed(stack: dict[str, Any]) -> set[str]:
        return {name for name, network in stack["networks"].items() if network.get("internal")}

    def encrypted(stack: dict[str, Any]) -> set[str]:
        return {name for name, each in stack["networks"].items() if "encrypted" in each.get("driver_opts", {})}

    with_it, without = adapted(STACK, encrypted=True), adapted(STACK, encrypted=False)
    assert with_it["networks"] == STACK["networks"]
    assert (closed(without), encrypted(without)) == (closed(STACK), set())


def test_configs_are_found_from_wherever_the_stack_is_written(tmp_path: Path) -> None:
    written = yaml.safe_load(write_stack(tmp_path, encrypted=True).read_text())
    files = [Path(each["file"]) for each in written["configs"].values()]
    assert files
    assert all(file.is_absolute() and file.is_file() for file in files)


def test_scenes_have_streams_that_nobody_else_sends_on() -> None:
    taken = [2 * index + number for index, scene in enumerate(SCENES) for number in range(scene.streams or 2)]
    assert len(taken) == len(set(taken))
    assert max(taken) < 20  # those from 21 on only make load


@pytest.mark.parametrize(
    ("line", "task"),
    [
        ("node-1|Running|Running 3 minutes ago|our:1", Task("node-1", meant=True, running=True, image="our:1")),
        ("node-1|Running|Starting 1 second ago|our:1", Task("node-1", meant=True, running=False, image="our:1")),
        ("node-2|Shutdown|Running 2 hours ago|our:1", Task("node-2", meant=False, running=True, image="our:1")),
        ("|Ready|Ready 3 seconds ago|our:1", Task("", meant=False, running=False, image="our:1")),
    ],
)
def test_a_task_is_what_the_manager_says_of_it(line: str, task: Task) -> None:
    assert task_of(line) == task


# ---- accounts


def _overview(backlog: int = 0, **ledger: int) -> StreamOverview:
    return StreamOverview("demo-1", StreamSettings(), registered=True, backlog=backlog, ledger=ledger, seen_ms=1)


@pytest.mark.parametrize(
    "overview",
    [_overview(mask=9, skipped=1), _overview(mask=8, refused=2), _overview(mask=10, lost=1), _overview(mask=11)],
)
def test_an_account_balances_where_every_frame_sent_has_ended(overview: StreamOverview) -> None:
    assert line(overview, Counter(sent=10, dropped=1)).sound


@pytest.mark.parametrize(
    "overview", [_overview(mask=9), _overview(mask=10, lost=2), _overview(mask=10, backlog=1), _overview()]
)
def test_an_account_does_not_where_one_is_missing(overview: StreamOverview) -> None:
    assert not line(overview, Counter(sent=10, dropped=1)).sound


# ---- results


def test_a_run_of_some_scenes_keeps_the_results_of_the_others() -> None:
    former = {"scenes": {scene.name: {"sound": True, "run": 1} for scene in SCENES}, "encrypted": True}
    again, failed = SCENES[1].name, SCENES[2].name
    result = merged(former, {"encrypted": False, "scenes": {again: {"sound": True, "run": 2}}})
    assert (list(result["scenes"]), result["sound"]) == ([scene.name for scene in SCENES], True)
    assert (result["scenes"][again]["run"], result["encrypted"]) == (2, False)
    result = merged(former, {"scenes": {failed: {"sound": False, "failed": "not within 120 s"}}})
    assert (failed in result["scenes"], result["sound"]) == (False, False)


def test_a_result_without_all_scenes_is_not_sound() -> None:
    assert not merged({}, {"scenes": {SCENES[0].name: {"sound": True}}})["sound"]
