"""What a dispatcher tells a camera that plans."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from narrows.contract.bundle import SplitBundle
from narrows.contract.schedule import Conditions, Objective, Planner
from narrows.contract.wire import Control, StreamSettings
from orchestrator.dispatch.plan_requests import OwnDemand, plan_fields
from orchestrator.dispatch.rate_requests import RateRequests, load_of
from orchestrator.inference.load import LoadReading
from tests import split_bundles
from tests.unit.schedule.scenes import design, table


def test_a_camera_is_told_its_pin_the_load_and_what_is_served_if_something_is_not(tmp_path: Path) -> None:
    bundle = split_bundles.write(tmp_path / "whole")
    pinned = StreamSettings(design="cut 1, level 0")
    assert plan_fields(bundle, pinned, 0.254, 0.0) == {"design": "cut 1, level 0", "cloud_load": 0.25, "cuts": None}
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half" / "tail0.onnx").unlink()
    half = plan_fields(SplitBundle.open(tmp_path / "half"), StreamSettings(), 0.75, 0.25)
    assert half == {"design": None, "cloud_load": 0.5, "cuts": (1,)}
    assert Control.parse(Control(**half).to_json()) == Control(cloud_load=0.5, cuts=(1,))


def test_an_overload_is_told_whole_to_whoever_is_part_of_it(tmp_path: Path) -> None:
    bundle = split_bundles.write(tmp_path)
    told = [plan_fields(bundle, StreamSettings(), load, 0.9)["cloud_load"] for load in (0.95, 1.0, 1.5)]
    assert told == [0.05, 1.0, 1.5]


def reading(capacity_per_s: float) -> LoadReading:
    return LoadReading(0.0, 0.0, 1, 1, capacity_per_s, 0.0, 0.0)


def test_a_cameras_own_part_of_the_load_is_what_it_offers_to_each_tail_and_goes_as_it_leaves_it() -> None:
    own, readings = OwnDemand(2.0), {"a": reading(20.0), "b": reading(50.0), "c": reading(math.nan), "d": None}
    own.take({"a": 10, "c": 7, "d": 7}, 1.0)
    assert own.load_ratio(readings) == 0.5
    own.take({"a": 10, "b": 10}, 1.0)
    left = own.load_ratio(readings)
    assert left == 0.5 * 0.5**0.5 + 10 / 50
    for _ in range(40):
        own.take({"a": 10, "b": 10}, 1.0)
    assert own.load_ratio(readings) < 1e-3


def test_a_camera_that_is_alone_does_not_leave_a_tail_because_it_uses_it(tmp_path: Path) -> None:
    """Two designs of the same latency but for the server: alone, the one with the quick head stays the best."""
    quick, thorough = design("quick", 0.1, 10_000, 0.1), design("thorough", 0.35, 10_000, 0.001)
    bundle = split_bundles.write(tmp_path)
    planner, own, now_s = Planner(table(quick, thorough), Objective.LATENCY), OwnDemand(2.0), 0.0
    readings: dict[str, LoadReading | None] = {"quick": reading(10.0), "thorough": reading(1000.0)}
    wanted = dict.fromkeys(readings, 0)
    chosen, told = [], 0.0
    for _ in range(60):
        now_s += 1.0
        name = planner.plan(Conditions(1e6, 0.04, cloud_load=told), now_s).chosen.design.name
        planner.took(name, 0.1 if name == "quick" else 0.35, 0.0, now_s)
        wanted[name] += 8
        own.take(wanted, 1.0)
        load, _ = load_of({model: rate.per_s for model, rate in own._rates.items()}, readings)
        told = plan_fields(bundle, StreamSettings(), load, own.load_ratio(readings))["cloud_load"]
        chosen.append(name)
    assert set(chosen[10:]) == {"quick"}


class Busy:
    """A stream whose camera sends frames of one tail."""

    def __init__(self, bundle: SplitBundle, model: str) -> None:
        self.split, self.settings, self.model = bundle, StreamSettings(), model
        self.active_s, self.taken_in, self.wanted = 0.0, 0, Counter[str]()

    def send(self, frames: int, now_s: float) -> None:
        self.active_s, self.taken_in = now_s, self.taken_in + frames
        self.wanted[self.model] += frames


def asking(*waits_s: float, streams: tuple[Busy, ...]) -> RateRequests:
    """Tails a and b, of 20 frames a second each, at which frames wait so long."""
    shards: Any = {0: SimpleNamespace(streams=dict(enumerate(streams)))}
    batchers: Any = [
        SimpleNamespace(model=SimpleNamespace(hex_id=name), reading=reading(20.0), longest_wait_s=wait_s)
        for name, wait_s in zip("ab", waits_s, strict=True)
    ]
    nothing: Any = None
    return RateRequests(nothing, nothing, shards, batchers, nothing, nothing, lambda: 0.0)


def told_to(requests: RateRequests, load_ratio: float) -> dict[str, float]:
    plans: Any = requests._plans(requests._measure(1.0), load_ratio)
    return {stream.model: fields["cloud_load"] for stream, fields in plans.items()}


def test_each_camera_is_told_the_load_of_the_others(tmp_path: Path) -> None:
    bundle = split_bundles.write(tmp_path)
    one, two = Busy(bundle, "a"), Busy(bundle, "b")
    one.send(4, 1.0)
    two.send(12, 1.0)
    assert told_to(asking(0.0, 0.4, streams=(one, two)), 16 / 20) == {"a": 0.6, "b": 0.2}


def test_a_camera_whose_tail_lets_frames_wait_is_told_an_overload_whatever_was_learned_of_costs(tmp_path: Path) -> None:
    bundle = split_bundles.write(tmp_path)
    one, two = Busy(bundle, "a"), Busy(bundle, "b")
    one.send(4, 1.0)
    two.send(12, 1.0)
    assert told_to(asking(0.0, 0.6, streams=(one, two)), 16 / 20) == {"a": 0.6, "b": 1.0}
