"""What `make e2e-swarm` found, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table


def render(result: dict[str, Any]) -> str:
    """A row a scene: what came of it, and the frames that cameras sent meanwhile."""
    deployed, load, cut, update, bundle = result["scenes"].values()
    rows = [
        ["`docker stack deploy`, cameras already sending", _deployed(deployed)],
        [f"{load['cameras']} cameras, then `narrows scale set 1`", _load(load)],
        ["a node's cable is pulled, and plugged in again", _cut(cut)],
        ["our image is updated, rolled back, and updated to one that does not start", _updates(update)],
        ["a second bundle, one camera sends with it and goes back", _bundle(bundle)],
    ]
    accounts = [_account(scene) for scene in result["scenes"].values()]
    lines = [[*row, account] for row, account in zip(rows, accounts, strict=True)]
    shown = table(["what happens", "what comes of it", "frames"], lines)
    links = "encrypted between nodes" if result["encrypted"] else "not encrypted between nodes: this kernel has no ESP"
    return f"{shown}\n\n{result['nodes']} engines; closed networks were {links}."


def _deployed(scene: Mapping[str, Any]) -> str:
    spread = ", ".join(f"{name} on {' and '.join(nodes)}" for name, nodes in scene["places"].items())
    return f"the job `models` took {scene['models_s']} s, masks came {scene['masks_s']} s later; {spread}"


def _load(scene: Mapping[str, Any]) -> str:
    asked_s, second_s, where = scene["asked_after_s"], scene["second_after_s"], " and ".join(scene["on"])
    return f"a second Triton is asked for after {asked_s} s, healthy after {second_s} s, on {where}; then one goes"


def _cut(scene: Mapping[str, Any]) -> str:
    had = ", ".join(f"{number} {name}" for name, number in scene["had"].items())
    return (
        f"it had {had}; missed after {scene['missed_after_s']} s, replaced after {scene['replaced_after_s']} s; "
        f"nothing ran twice {scene['nothing_twice_after_s']} s after it was back"
    )


def _updates(scene: Mapping[str, Any]) -> str:
    return (
        f"{scene['update_s']} s, {scene['rollback_s']} s, and back by itself in {scene['broken_is_back_s']} s; "
        f"never fewer than {scene['fewest_dispatchers']} of 2 dispatchers healthy"
    )


def _bundle(scene: Mapping[str, Any]) -> str:
    return (
        f"its masks are of `{scene['canary'][:8]}`, then of `{scene['rolled_back'][:8]}` as all others' all the while"
    )


def _account(scene: Mapping[str, Any]) -> str:
    lines = scene["accounts"]
    sent, lost, dropped = (sum(line[name] for line in lines) for name in ("sent", "lost", "dropped"))
    given_up = f", {lost} of {dropped} that cameras gave up missing" if lost else ""
    return f"{sent:,} sent, each ended{given_up}" if scene["sound"] else "NOT BALANCED"
