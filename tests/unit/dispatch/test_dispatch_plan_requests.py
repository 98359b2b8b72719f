"""What a dispatcher tells a camera that plans."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.bundle import SplitBundle
from narrows.contract.schedule import Conditions, Objective, Planner
from narrows.contract.wire import Control, StreamSettings
from orchestrator.dispatch.plan_requests import TailUse, plan_fields
from orchestrator.dispatch.rate_requests import RateRequests, load_of
from orchestrator.inference.load import LoadReading
from tests import split_bundles
from tests.unit.schedule.scenes import design, table


def test_a_camera_is_told_its_pin_the_load_and_what_is_served_if_something_is_not(tmp_path: Path) -> None:
    bundle = split_bundles.write(tmp_path / "whole")
    pinned = StreamSettings(design="cut 1, level 0")
    assert plan_fields(bundle, pinned, 0.254) == {"design": "cut 1, level 0", "cloud_load": 0.25, "cuts": None}
    shutil.copytree(tmp_path / "whole", tmp_path / "half")
    (tmp_path / "half" / "tail0.onnx").unlink()
    half = plan_fields(SplitBundle.open(tmp_path / "half"), StreamSettings(), 0.5)
    assert half == {"design": None, "cloud_load": 0.5, "cuts": (1,)}
    assert Control.parse(Control(**half).to_json()) == Control(cloud_load=0.5, cuts=(1,))


NOTHING_LATE: dict[str, float] = {}


def test_a_camera_has_what_others_leave_and_at_least_its_due() -> None:
    use = TailUse(2.0)
    told = [use.cloud_load(others, 0.25, NOTHING_LATE) for others in (-0.1, 0.0, 0.5, 0.75, 0.9, 1.0, 40.0)]
    assert told == [0.0, 0.0, 0.5, 0.75, 0.75, 0.75, 0.75]


@given(
    demands=st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 10)), min_size=1, max_size=6), weight=st.floats(0.1, 10)
)
def test_it_is_never_promised_more_than_max_min_fairness_gives(
    demands: list[tuple[float, float]], weight: float
) -> None:
    """Water is filled in by weight until the others have what they want, or nothing is left (Bertsekas, 6.5.2)."""
    left, filling, weights = 1.0, sorted(demands, key=lambda each: each[0] / each[1]), sum(w for _, w in demands)
    for wanted, other in filling:
        due = min(wanted, left * other / (weights + weight))
        left, weights = left - due, weights - other
    others = sum(wanted for wanted, _ in demands)
    due = weight / (weight + sum(other for _, other in demands))
    assert 1 - TailUse(2.0).cloud_load(others, due, NOTHING_LATE) <= left + 1e-9


def test_where_frames_wait_a_camera_is_told_what_it_got_and_believes_it_less_with_time() -> None:
    """Ten frames of 20 ms by the plan came back in a second: a fifth of the servers' time was the camera's."""
    use = TailUse(2.0)
    use.take({"a": 30}, {"a": 10}, 1.0)
    assert use.cloud_load(0.0, 1.0, {"a": 0.02}) == pytest.approx(0.8)
    told = []
    for _ in range(3):
        use.take({"a": 30}, {"a": 10}, 5.0)
        told.append(use.cloud_load(0.0, 1.0, NOTHING_LATE))
    assert told == pytest.approx([0.4, 0.2, 0.1])


def test_what_others_take_and_what_did_not_come_back_are_the_same_time_of_the_servers() -> None:
    use = TailUse(2.0)
    use.take({"a": 30}, {"a": 10}, 1.0)
    assert use.cloud_load(0.5, 0.25, {"a": 0.02}) == pytest.approx(0.8)
    assert use.cloud_load(0.9, 0.05, {"a": 0.02}) == pytest.approx(0.9)


def test_frames_that_wait_at_another_tail_are_no_matter_of_a_cameras() -> None:
    use = TailUse(2.0)
    use.take({"a": 10}, {"a": 10}, 1.0)
    assert use.cloud_load(0.3, 0.5, {"b": 0.02}) == pytest.approx(0.3)


def reading(capacity_per_s: float) -> LoadReading:
    return LoadReading(0.0, 0.0, 1, 1, capacity_per_s, 0.0, 0.0)


def test_a_cameras_own_part_of_the_load_is_what_it_offers_to_each_tail_and_goes_as_it_leaves_it() -> None:
    own, readings = TailUse(2.0), {"a": reading(20.0), "b": reading(50.0), "c": reading(math.nan), "d": None}
    own.take({"a": 10, "c": 7, "d": 7}, {}, 1.0)
    assert own.load_ratio(readings) == 0.5
    own.take({"a": 10, "b": 10}, {}, 1.0)
    left = own.load_ratio(readings)
    assert left == 0.5 * 0.5**0.5 + 10 / 50
    for _ in range(40):
        own.take({"a": 10, "b": 10}, {}, 1.0)
    assert own.load_ratio(readings) < 1e-3


def test_a_camera_that_is_alone_does_not_leave_a_tail_because_it_uses_it() -> None:
    """Two designs of the same latency but for the server: alone, the one with the quick head stays the best."""
    quick, thorough = design("quick", 0.1, 10_000, 0.1), design("thorough", 0.35, 10_000, 0.001)
    planner, own, now_s = Planner(table(quick, thorough), Objective.LATENCY), TailUse(2.0), 0.0
    readings: dict[str, LoadReading | None] = {"quick": reading(10.0), "thorough": reading(1000.0)}
    wanted = dict.fromkeys(readings, 0)
    chosen, told = [], 0.0
    for _ in range(60):
        now_s += 1.0
        name = planner.plan(Conditions(1e6, 0.04, cloud_load=told), now_s).chosen.design.name
        planner.took(name, 0.1 if name == "quick" else 0.35, 0.0, now_s)
        wanted[name] += 8
        own.take(wanted, wanted, 1.0)
        load, _ = load_of({model: rate.per_s for model, rate in own._wanted.of.items()}, readings)
        told = own.cloud_load(load - own.load_ratio(readings), 1.0, NOTHING_LATE)
        chosen.append(name)
    assert set(chosen[10:]) == {"quick"}


class Busy:
    """A stream whose camera sends frames of one tail, of which so many come back."""

    def __init__(self, bundle: SplitBundle, number: int) -> None:
        self.split, self.settings, self.makes_masks = bundle, StreamSettings(), False
        self.model = bundle.tails[number].hex_id
        self.active_s, self.taken_in = 0.0, 0
        self.wanted, self.answered = Counter[str](), Counter[str]()

    def send(self, frames: int, answered: int, now_s: float) -> None:
        self.active_s, self.taken_in = now_s, self.taken_in + frames
        self.wanted[self.model] += frames
        self.answered[self.model] += answered


def requests_of(streams: tuple[Busy, ...], waits_s: tuple[float, ...]) -> RateRequests:
    """Where a tail does 20 frames a second, and frames wait so long."""
    shards: Any = {0: SimpleNamespace(streams=dict(enumerate(streams)))}
    batchers: Any = [
        SimpleNamespace(model=SimpleNamespace(hex_id=stream.model), reading=reading(20.0), longest_wait_s=wait_s)
        for stream, wait_s in zip(streams, waits_s, strict=True)
    ]
    nothing: Any = None
    return RateRequests(nothing, nothing, shards, batchers, nothing, nothing, lambda: 0.0)


def told_to(streams: tuple[Busy, ...], waits_s: tuple[float, ...], load_ratio: float, share: float) -> list[float]:
    """What each is told."""
    requests = requests_of(streams, waits_s)
    active: Any = requests._measure(1.0)
    plans: Any = requests._plans(active, load_ratio, share)
    return [plans[stream]["cloud_load"] for stream in streams]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Busy, Busy]:
    """One camera offers a fifth of what the servers can do, one three fifths; half of that comes back."""
    bundle = split_bundles.write(tmp_path)
    streams = Busy(bundle, 0), Busy(bundle, 1)
    streams[0].send(4, 4, 1.0)
    streams[1].send(12, 6, 1.0)
    return streams


def test_each_camera_is_told_the_load_of_the_others(two: tuple[Busy, Busy]) -> None:
    assert told_to(two, (0.0, 0.4), 16 / 20, 1.0) == [0.5, 0.2]


def test_the_cameras_of_other_dispatchers_count_for_what_is_due(two: tuple[Busy, Busy]) -> None:
    assert told_to(two, (0.0, 0.4), 64 / 20, 0.25) == [0.88, 0.88]


def test_what_is_due_goes_by_the_weights_of_streams(two: tuple[Busy, Busy]) -> None:
    two[0].settings = StreamSettings(weight=3)
    assert told_to(two, (0.0, 0.4), 64 / 20, 1.0) == [0.25, 0.75]


def test_a_camera_whose_tail_lets_frames_wait_is_told_what_it_got(two: tuple[Busy, Busy]) -> None:
    tail_s = two[1].split.manifest.cuts[1].tail_ms / 1000
    assert told_to(two, (0.0, 0.6), 16 / 20, 1.0) == [0.5, pytest.approx(1 - 6 * tail_s, abs=0.005)]


def test_a_camera_that_was_silent_has_not_sent_at_once_all_that_it_ever_sent(tmp_path: Path) -> None:
    """It would be told that it has the servers for itself, for as long as that rate takes to be forgotten."""
    camera = Busy(split_bundles.write(tmp_path), 0)
    requests = requests_of((camera,), (0.0,))
    for second in range(1, 101):
        camera.send(4, 4, float(second))
        requests._measure(float(second))
    for second in range(101, 121):
        silent: Any = requests._measure(float(second))
    assert not silent
    assert requests._plans(silent, 0.6, 1.0) == {}
    camera.send(4, 4, 121.0)
    active: Any = requests._measure(121.0)
    plans: Any = requests._plans(active, 0.6 + 4 / 20, 0.1)
    assert 0.6 <= plans[camera]["cloud_load"] <= 0.8, "the others have three fifths, whatever it sent an hour ago"
