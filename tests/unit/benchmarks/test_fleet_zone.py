"""A zone's loss in the simulator: who is away for how long, and that nobody knocks in step."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fleet.links import ReconnectRules
from benchmarks.fleet.nodes import Nodes
from benchmarks.fleet.zone import NODE_TIMEOUT_S, ZoneLoss, ZoneResult, run, run_all
from edge_client.transport.uplink import LONGEST_CONNECTION_S

LOSS = ZoneLoss(
    cameras=1200,
    masters=6,
    shards=64,
    dispatchers=6,
    connect_s=0.001,
    redis_frame_s=0.0002,
    decoder_frame_s=0.004,
    pause_s=5.0,
)
LOST, HOME, LATER = (60, 240), (300, 400), (600, 1000)


@pytest.fixture(scope="module")
def apart() -> ZoneResult:
    """As the product is, masters going home one by one."""
    return run(LOSS)


@pytest.fixture(scope="module")
def former() -> ZoneResult:
    """Cameras that ask the same node and renew in step, masters going home at once."""
    return run(replace(LOSS, pause_s=0.0, rules=ReconnectRules(ask_anybody=False, renew_apart=False)))


def test_before_anything_happens_only_renewals_connect_and_all_are_served(apart: ZoneResult) -> None:
    reconnects, age_s = apart.peak(5, 60)
    assert 0 < reconnects < LOSS.cameras / 50
    assert age_s == 0.0


def test_cameras_of_the_lost_zone_are_away_at_least_until_its_replicas_serve_and_then_all_are_back(
    apart: ZoneResult,
) -> None:
    assert apart.peak(*LOST)[1] > NODE_TIMEOUT_S
    assert NODE_TIMEOUT_S < apart.calm_after_s(60) < 60
    assert apart.p99_age_s[200:239].max() == 0.0
    assert apart.reconnects_per_s[60:240].sum() > LOSS.cameras / 4


def test_decoders_of_the_lost_zone_are_missed_until_others_have_started(apart: ZoneResult) -> None:
    assert apart.left_out.max() > 0.1
    assert 5 < (apart.left_out > 0.01).sum() < 60
    without_room = run(replace(LOSS, spare=False, end_s=300.0))
    assert (without_room.left_out > 0.01).sum() > LOSS.back_s - LOSS.lost_s - 30


def test_masters_that_go_home_one_by_one_make_less_of_a_rush(apart: ZoneResult) -> None:
    at_once = run(replace(LOSS, pause_s=0.0, end_s=400.0))
    assert apart.peak(*HOME)[0] < 0.8 * at_once.peak(*HOME)[0]


def test_connections_that_were_made_together_are_not_renewed_together(apart: ZoneResult, former: ZoneResult) -> None:
    assert former.peak(*LATER)[0] > 5 * apart.peak(*LATER)[0]
    echo_s = np.argmax(former.reconnects_per_s[600:1000]) + 600
    assert min(abs(echo_s - LONGEST_CONNECTION_S - at) for at in (65, 301)) < 10


def test_no_node_is_asked_by_everybody(apart: ZoneResult, former: ZoneResult) -> None:
    assert former.busiest_share > 1.5 * apart.busiest_share


def test_installs_add_up() -> None:
    short = replace(LOSS, cameras=60, end_s=100.0)
    one, other = run(short), run(replace(short, seed=2))
    both = run_all([short, replace(short, seed=2)])
    assert both.reconnects_per_s.sum() == one.reconnects_per_s.sum() + other.reconnects_per_s.sum()
    assert both.p99_age_s.max() == max(one.p99_age_s.max(), other.p99_age_s.max())


def test_handshakes_wait_for_each_other_and_for_frames() -> None:
    nodes = Nodes(2, 2, 0.1, np.array([0.5, 0.0]))
    assert nodes.shake_hands(np.array([0, 1, 0])).tolist() == pytest.approx([0.1, 0.1, 0.2])
    nodes.step(0.2)  # the first has half its core for them
    assert nodes.shake_hands(np.array([0, 1])).tolist() == pytest.approx([0.2, 0.1])
    nodes.alive[1] = False
    assert nodes.shake_hands(np.array([1])).tolist() == [np.inf]
