"""A camera that plans, on links that are not what small packets say: a bucket, a slow device, steps, losses."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from narrows.contract.bundle import SplitBundle
from tests.unit.edge.edge_link_model import Link
from tests.unit.edge.planning_camera import LARGE, SMALL, PlanningCamera, bundle_of_two_cuts

BUCKET_BYTES = 1_564.0
THIN, WIDE = 20_000.0, 250_000.0
"""Bytes a second: a large packet takes a second, nearly twice what the small design takes, or a twelfth."""
PINS = {LARGE: "cut 0, level 0", SMALL: "cut 1, level 0"}
Rate = Callable[[float], float]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return bundle_of_two_cuts(tmp_path_factory.mktemp("bundle"))


def shaped(rate: Rate, loss: float = 0.0) -> Link:
    return Link(rate, loss=loss, random=random.Random(4), burst_bytes=BUCKET_BYTES)


def steady(bytes_per_s: float) -> Rate:
    return lambda _: bytes_per_s


def outage(at_s: float) -> float:
    return 0.0 if 20 <= at_s < 23 else WIDE


def step_down(at_s: float) -> float:
    return WIDE if at_s < 20 else THIN


def step_up(at_s: float) -> float:
    return THIN if at_s < 20 else WIDE


def best_static(bundle: SplitBundle, rate: Rate, loss: float, notices_every_s: float) -> float:
    return max(
        PlanningCamera(bundle, shaped(rate, loss), notices_every_s, pinned=pin).play(60).results_per_s(0, 60)
        for pin in PINS.values()
    )


@pytest.mark.parametrize("notices_every_s", [0.0, 0.1], ids=["at once", "under a quota"])
@pytest.mark.parametrize(
    ("rate", "loss"),
    [
        (steady(THIN), 0.0), (steady(WIDE), 0.0), (steady(WIDE), 0.05), (steady(THIN), 0.05), (outage, 0.0),
        (step_down, 0.0), (step_up, 0.0),
    ],
    ids=["thin", "wide", "wide, losses", "thin, losses", "outage", "step down", "step up"],
)  # fmt: skip
def test_a_camera_gets_nearly_what_the_best_design_gets(
    bundle: SplitBundle, rate: Rate, loss: float, notices_every_s: float
) -> None:
    camera = PlanningCamera(bundle, shaped(rate, loss), notices_every_s).play(60)
    share = camera.results_per_s(0, 60) / best_static(bundle, rate, loss, notices_every_s)
    assert share >= 0.9


def test_behind_a_bucket_a_large_packet_is_tried_seldom_and_given_up_at_once(bundle: SplitBundle) -> None:
    camera = PlanningCamera(bundle, shaped(steady(THIN))).play(60)
    assert camera.shares(10, 60)[LARGE] < 0.1


def test_a_wide_link_is_used_within_seconds_by_a_camera_that_is_slow_to_notice(bundle: SplitBundle) -> None:
    camera = PlanningCamera(bundle, shaped(step_up), notices_every_s=0.1).play(60)
    assert camera.shares(45, 60)[LARGE] == 1.0


def test_a_link_that_was_away_is_used_as_before(bundle: SplitBundle) -> None:
    camera = PlanningCamera(bundle, shaped(outage)).play(60)
    assert camera.shares(30, 60)[LARGE] == 1.0
