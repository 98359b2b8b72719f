"""What happens to the release, one scene after another; each answers its figures, and raises where it does not hold."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.e2e.waiting import StackError, counted, until
from benchmarks.e2e_kubernetes.calls import evict, forbidden, needed, status_of, write_under
from benchmarks.e2e_kubernetes.chart import Manifest, unknown_fields
from benchmarks.e2e_kubernetes.cluster import AUTOSCALER, DELETION_COST, DISPATCHER, TRITON, Stage
from benchmarks.e2e_kubernetes.control_plane import NAMESPACE
from benchmarks.e2e_kubernetes.engine import Engine
from benchmarks.e2e_kubernetes.kubelet import BROKEN
from orchestrator.scaling.replicas import StaleLeader

Figures = dict[str, object]
_WAIT_S = 180.0
_WRITERS = 8
_HONOURED_FROM = (1, 22)
"""Since this version a ReplicaSet honours the deletion cost without a feature gate (Kubernetes' list of gates)."""


def chart_is_applied(stage: Stage) -> Figures:
    """Every Deployment of the CPU's values becomes available; what this version does not know is named."""
    manifests = stage.chart.render()
    stage.apply(manifests)
    deployments = [each for each in manifests if each["kind"] == "Deployment"]
    seconds = sum(stage.settled(each["metadata"]["name"]) for each in deployments)
    unknown = {field for each in deployments for field in _unknown(stage, each)}
    return {
        "deployments": [each["metadata"]["name"] for each in deployments],
        "available_s": round(seconds, 1),
        "kinds_not_served": stage.chart.left_out(),
        "fields_not_known": sorted(unknown),
    }


def _unknown(stage: Stage, sent: Manifest) -> Iterator[str]:
    stored = stage.plane.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{sent['metadata']['name']}")
    return unknown_fields(sent["spec"], stored["spec"])


def decoders_are_scaled(stage: Stage) -> Figures:
    """Our engine, with the rights of the autoscaler's account alone, writes the scale subresource up and down."""
    return asyncio.run(_scaled(stage))


async def _scaled(stage: Stage) -> Figures:
    async with Engine(stage) as engine:
        leader, begun_s = await engine.lead(), time.monotonic()
        await engine.scale(3, leader)
        await engine.until(lambda seen: (seen.wanted, seen.ready, seen.starting) == (3, 3, 0), "3 decoders")
        up_s, before, begun_s = time.monotonic() - begun_s, stage.ready(TRITON), time.monotonic()
        await engine.scale(1, leader)
        emptied = await engine.emptied()
        await engine.until(lambda seen: (seen.wanted, seen.ready, seen.draining) == (1, 1, 0), "one decoder")
        down_s, gone = time.monotonic() - begun_s, sorted(set(before) - set(stage.ready(TRITON)))
    return {
        "up_s": round(up_s, 1),
        "down_s": round(down_s, 1),
        "emptied": len(emptied),
        "emptied_ones_went": emptied == gone,
    }


def stale_writers_are_refused(stage: Stage) -> Figures:
    """Of writers that saw the same version one wins; our engine names the others' case, and writes nothing."""
    seen = stage.apps.read_namespaced_deployment_scale(TRITON, NAMESPACE)
    version, target = seen.metadata.resource_version, seen.spec.replicas + 1
    with ThreadPoolExecutor(_WRITERS) as writers:
        answers = list(writers.map(lambda _: write_under(stage, version, target), range(_WRITERS)))
    stage.settled(TRITON, target)
    refused = asyncio.run(_stale(stage))
    _back_to_one(stage)
    if answers.count(200) != 1 or answers.count(409) != _WRITERS - 1 or not refused:
        raise StackError(f"writers under one version were answered {answers}; ours: {refused or 'not refused'}")
    return {"writers": _WRITERS, "conflicts": answers.count(409), "engine": refused}


async def _stale(stage: Stage) -> str:
    async with Engine(stage) as engine:
        leader, seen = await engine.lead(), await engine.scaling.observe()
        stage.write_scale(TRITON, seen.wanted + 1)
        try:
            await engine.scaling.scale(seen.wanted + 2, seen, leader)
        except StaleLeader as error:
            return str(error)
        return ""


def cheapest_pod_goes_or_not(stage: Stage) -> Figures:
    """Whether a ReplicaSet of this version lets the pod go that is marked as the cheapest, and is the oldest."""
    stage.write_scale(TRITON, 3)
    stage.settled(TRITON, 3)
    before = [pod.metadata.name for pod in stage.pods(TRITON)]
    mark = {"metadata": {"annotations": {DELETION_COST: "-1000"}}}
    stage.core.patch_namespaced_pod(before[0], NAMESPACE, mark)
    stage.write_scale(TRITON, 2)
    stage.settled(TRITON, 2)
    (gone,) = set(before) - set(stage.ready(TRITON))
    _back_to_one(stage)
    honoured = gone == before[0]
    if not honoured and _number(stage.version) >= _HONOURED_FROM:
        raise StackError(f"{stage.version} let {gone} go, and {before[0]} was marked")
    return {"honoured": honoured, "gone": f"number {before.index(gone) + 1} of 3 by age"}


def leader_changes(stage: Stage) -> Figures:
    """A leader that another followed changes nothing any more, and its successor does what was left."""
    return asyncio.run(_followed(stage))


async def _followed(stage: Stage) -> Figures:
    async with Engine(stage) as first, Engine(stage) as second:
        former = await first.lead()
        await first.scale(3, former)
        await first.until(lambda seen: seen.ready == 3, "3 decoders")
        await first.scale(1, former)  # two are being emptied when the other comes
        latter = await second.lead()
        refused = ""
        try:
            await first.scale(2, former)
        except StaleLeader as error:
            refused = str(error)
        await second.until(lambda seen: seen.draining == 0, "the former leader's marks are gone")
        untouched = stage.deployment(TRITON).spec.replicas
        await second.scale(1, latter)
        await second.until(lambda seen: (seen.wanted, seen.ready, seen.draining) == (1, 1, 0), "one decoder")
    if untouched != 3 or not refused:
        raise StackError(f"the former leader made it {untouched} after another had come ({refused or 'not refused'})")
    return {"refused": refused}


def rights_are_no_more_than_needed(stage: Stage) -> Figures:
    """The autoscaler's account may do what it needs; each other call that is tried is refused. The rest may nothing."""
    account = stage.plane.client(stage.plane.account_token(AUTOSCALER))
    nobody = stage.plane.client(stage.plane.account_token("default"))
    pod = stage.ready(TRITON)[0]
    allowed = {name: status_of(call) for name, call in needed(account, pod).items()}
    refused = {name: status_of(call) for name, call in forbidden(account, pod).items()}
    refused |= {f"default account: {name}": status_of(call) for name, call in needed(nobody, pod).items()}
    if set(allowed.values()) != {200} or set(refused.values()) != {403}:
        raise StackError(f"of what is needed {allowed}; of what is not {refused}")
    return {"allowed": len(allowed), "refused": len(refused)}


def release_is_rolled_out_and_undone(stage: Stage) -> Figures:
    """A new image and back, with as many decoders as there were; one that cannot be pulled takes no pod away."""
    stage.write_scale(TRITON, 2)
    stage.settled(TRITON, 2)
    with counted(lambda: len(stage.ready(TRITON)), look_s=0.3) as fewest:
        rollout_s = _upgraded(stage, "image.orchestrator=narrows/orchestrator:0.2.0")
        undo_s = _undone(stage)
        stage.apply(stage.chart.render("--set", f"image.triton=narrows/{BROKEN}:1"))
        until(lambda: len(stage.pods(TRITON)) == 3, "a pod that cannot start stands beside the old ones", _WAIT_S)
        _undone(stage)
    _back_to_one(stage)
    if min(fewest) < 2:
        raise StackError(f"for a moment {min(fewest)} of 2 decoders were ready")
    return {"rollout_s": round(rollout_s, 1), "undo_s": round(undo_s, 1), "fewest_of_2_ready": min(fewest)}


def evictions_are_one_at_a_time(stage: Stage) -> Figures:
    """As `kubectl drain` evicts: one pod goes, the next is refused until there is a replacement."""
    stage.write_scale(TRITON, 3)
    stage.settled(TRITON, 3)
    first, second, _ = stage.ready(TRITON)
    stage.may_evict(TRITON)
    with stage.kubelets.held():
        answers = [evict(stage, first), evict(stage, second)]
    stage.settled(TRITON, 3)
    stage.may_evict(TRITON)
    answers.append(evict(stage, second))
    stage.settled(TRITON, 3)
    _back_to_one(stage)
    if answers != [200, 429, 200]:
        raise StackError(f"evictions were answered {answers}, not 200, 429, 200")
    return {"answers": answers}


SCENES: tuple[Callable[[Stage], Figures], ...] = (
    chart_is_applied,
    decoders_are_scaled,
    stale_writers_are_refused,
    cheapest_pod_goes_or_not,
    leader_changes,
    rights_are_no_more_than_needed,
    release_is_rolled_out_and_undone,
    evictions_are_one_at_a_time,
)


def _back_to_one(stage: Stage) -> None:
    stage.write_scale(TRITON, 1)
    stage.settled(TRITON, 1)


def _upgraded(stage: Stage, value: str) -> float:
    """Until the release with this value is rolled out; answers the seconds."""
    begun_s = time.monotonic()
    stage.apply(stage.chart.render("--set", value))
    stage.settled(DISPATCHER)
    stage.settled(TRITON, 2)
    return time.monotonic() - begun_s


def _undone(stage: Stage) -> float:
    """Until Triton is what it was before; answers the seconds."""
    begun_s = time.monotonic()
    stage.kubectl("rollout", "undo", f"deployment/{TRITON}")
    stage.settled(TRITON, 2)
    return time.monotonic() - begun_s


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split(".")[:2])
