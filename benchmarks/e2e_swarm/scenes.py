"""What happens to the stack, one scene after another; each answers its figures, and raises where it does not hold.

Cameras send on streams of the scene's own from before it begins until after it has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.e2e.scenes import Figures, another_bundle
from benchmarks.e2e.waiting import StackError, counted, until
from benchmarks.e2e_swarm.cameras import Cameras
from benchmarks.e2e_swarm.images import BROKEN, NEXT, NOW
from benchmarks.e2e_swarm.stack import Stack, ours
from narrows.contract.bundle import Bundle

_WELL_S, _SCALE_S, _NODE_S, _UPDATE_S = 400.0, 500.0, 120.0, 600.0
_OLD, _NEW = "demo", "next"
_FEW_MASKS = 8


@dataclass(frozen=True)
class Stage:
    """Where scenes play."""

    stack: Stack
    cameras: Cameras


@dataclass(frozen=True)
class Scene:
    """A scene.

    Attributes:
        streams: how many cameras send throughout.
        typical_s: how long it takes where nothing else runs, for the time left.
    """

    play: Callable[[Stage, Sequence[str]], Figures]
    streams: int
    typical_s: float

    @property
    def name(self) -> str:
        """What happens in it."""
        return self.play.__name__


def stack_is_deployed(stage: Stage, streams: Sequence[str]) -> Figures:
    """The commands of docs/swarm.md lead to masks, on both nodes; cameras were there before."""
    models_s = stage.stack.install_models()
    begun_s = time.monotonic()
    stage.stack.deploy()
    well_s = until(stage.stack.well, "every service runs", _WELL_S)
    _masks_come(stage, streams)
    first_s = time.monotonic() - begun_s
    return {
        "models_s": round(models_s),
        "well_s": round(well_s),
        "masks_s": round(first_s),
        "places": stage.stack.places(),
    }


def decoders_follow_load(stage: Stage, streams: Sequence[str]) -> Figures:
    """More cameras bring a second Triton, on the other node; by an operator's order one of the two goes.

    The policy itself lets one go only after minutes of little load, which a busy machine may never have.
    """
    _masks_come(stage, streams)
    with stage.cameras.sending([f"demo-{number}" for number in _OF_LOAD], fps=8):
        asked_s = until(lambda: stage.stack.replicas("triton") == 2, "a second Triton is asked for", _SCALE_S)
    up_s = asked_s + until(lambda: len(stage.stack.running("triton")) == 2, "a second Triton", _SCALE_S)
    nodes = sorted(task.node for task in stage.stack.running("triton"))
    _masks_come(stage, streams)
    ordered_s = time.monotonic()
    stage.cameras.order_servers("1")
    until(lambda: len(stage.stack.running("triton")) == 1, "one Triton again", _SCALE_S)
    down_s = time.monotonic() - ordered_s
    stage.cameras.order_servers("auto")
    return {"cameras": len(streams) + len(_OF_LOAD), "asked_after_s": round(asked_s), "second_after_s": round(up_s),
            "on": nodes, "one_again_after_s": round(down_s)}  # fmt: skip


def node_is_cut_off_and_comes_back(stage: Stage, streams: Sequence[str]) -> Figures:
    """What ran on a node whose cable is pulled starts elsewhere, and what is too much when it is back ends."""
    _masks_come(stage, streams)
    node = stage.stack.nodes[1]
    taken = {name: nodes.count(node.name) for name, nodes in stage.stack.places().items() if node.name in nodes}
    if not taken:
        raise StackError(f"nothing runs on {node.name}")
    node.cut_off()
    down_s = until(lambda: node.name not in stage.stack.nodes_up(), f"{node.name} is missed", _NODE_S)
    elsewhere_s = until(stage.stack.well, f"{', '.join(taken)} run without {node.name}", _WELL_S)
    _masks_come(stage, streams)
    node.put_back()
    up_s = until(lambda: node.name in stage.stack.nodes_up(), f"{node.name} is back", _NODE_S)
    single_s = until(lambda: _nothing_twice(stage.stack), "what ran twice ended", _WELL_S)
    _masks_come(stage, streams)
    return {"had": taken, "missed_after_s": round(down_s), "replaced_after_s": round(down_s + elsewhere_s),
            "back_after_s": round(up_s), "nothing_twice_after_s": round(up_s + single_s)}  # fmt: skip


def orchestrator_is_updated_and_rolled_back(stage: Stage, streams: Sequence[str]) -> Figures:
    """To another image and back, and back by itself from one that does not start; dispatchers are never all away."""
    _masks_come(stage, streams)
    stack = stage.stack
    with counted(lambda: len(stack.running("dispatcher"))) as fewest:
        stack.settings["NARROWS_VERSION"] = NEXT
        update_s = _update(stack, stack.deploy, "completed", NEXT)
        until(stack.well, "every service runs", _WELL_S)
        rollback_s = _update(stack, lambda: stack.change("rollback", "dispatcher"), "rollback_completed")
        break_it = ("--image", ours(BROKEN), "--no-resolve-image")
        broken_s = _update(stack, lambda: stack.change("update", "dispatcher", *break_it), "rollback_completed")
    stack.settings["NARROWS_VERSION"] = NOW
    _masks_come(stage, streams)
    if min(fewest) < 1:
        raise StackError("for a moment no dispatcher ran")
    return {"update_s": round(update_s), "rollback_s": round(rollback_s), "broken_is_back_s": round(broken_s),
            "fewest_dispatchers": min(fewest)}  # fmt: skip


def bundle_has_a_canary_and_goes_back(stage: Stage, streams: Sequence[str]) -> Figures:
    """Both are served, one camera sends with the new one, and goes back; the others never notice."""
    stack, folder, (canary, other) = stage.stack, stage.cameras.bundles, streams
    old, new = Bundle.open(folder / _OLD).hex_id, another_bundle(folder / _OLD, folder / _NEW)
    with stage.cameras.sending([other]):
        _masks_come(stage, [other])
        stack.settings["BUNDLES"] = f"/bundles/{_OLD}:/bundles/{_NEW}"
        models_s = stack.install_models()
        _update(stack, stack.deploy, "completed")
        _update(stack, lambda: stack.change("update", "triton", "--force"), "completed", service="triton")
        made_by = {}
        for share, bundle in (("canary", _NEW), ("rolled_back", _OLD)):
            with stage.cameras.sending([canary], bundle):
                made_by[share] = stage.cameras.made_by(canary, _FEW_MASKS)
            made_by[f"beside_{share}"] = stage.cameras.made_by(other, _FEW_MASKS)
        stack.settings["BUNDLES"] = f"/bundles/{_OLD}"
        _update(stack, stack.deploy, "completed")
        _masks_come(stage, [other])
    expected = {"canary": {new}, "beside_canary": {old}, "rolled_back": {old}, "beside_rolled_back": {old}}
    if made_by != expected:
        raise StackError(f"masks were made by {made_by}, not {expected}")
    return {"models_s": round(models_s), "canary": new, "rolled_back": old}


SCENES = (
    Scene(stack_is_deployed, 2, 90),
    Scene(decoders_follow_load, 2, 200),
    Scene(node_is_cut_off_and_comes_back, 2, 150),
    Scene(orchestrator_is_updated_and_rolled_back, 2, 240),
    Scene(bundle_has_a_canary_and_goes_back, 0, 240),
)
_OF_LOAD = range(21, 27)
"""Streams of the cameras that only make load."""


def _masks_come(stage: Stage, streams: Sequence[str]) -> None:
    before = stage.cameras.masks(streams)
    until(lambda: stage.cameras.masks(streams) >= before + _FEW_MASKS, f"masks of {', '.join(streams)}", _WELL_S)


def _nothing_twice(stack: Stack) -> bool:
    return stack.well() and all(task.meant for task in stack.tasks("dispatcher") + stack.tasks("triton"))


def _update(
    stack: Stack, act: Callable[[], object], state: str, tag: str = NOW, *, service: str = "dispatcher"
) -> float:
    """Change a service, until its update has ended so and it runs our image of this tag; answers the seconds."""
    before, what = stack.update_status(service), f"the update of {service} is {state}"
    act()

    def over() -> bool:
        status = stack.update_status(service)
        return status != before and status[0] == state

    seconds = until(over, what, _UPDATE_S)
    images = {task.image for task in stack.running(service)}
    if service != "triton" and images != {ours(tag)}:
        raise StackError(f"{service} runs {images} after {state}")
    return seconds
