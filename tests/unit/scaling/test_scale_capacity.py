"""Claims about what is learned of a server, against servers whose costs are known."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.inference.cost import BatchTotals
from orchestrator.scaling.capacity import CapacityModel
from orchestrator.scaling.forecast import Forecast, Forecaster
from orchestrator.scaling.gain import capacity, gain
from orchestrator.scaling.server_watch import ServerLook

A_S, K_S, MAX_BATCH = 0.010, 0.004, 16
TRUE_RATE = MAX_BATCH / (A_S + K_S * MAX_BATCH)


def look(
    batches: Mapping[int, float], *, n: int = 1, slow: float = 1.0, elapsed_s: float = 2.0, bundle: str = "aa",
    noise: random.Random | None = None, a: float = A_S, k: float = K_S,
) -> ServerLook:  # fmt: skip
    """So many batches of each size in two seconds, each at its true cost, give or take."""
    executed = {
        size: BatchTotals(
            round(count), count * slow * (a + k * size) * (noise.gauss(1, 0.3 / count**0.5) if noise else 1.0)
        )
        for size, count in batches.items()
    }
    return ServerLook(n, elapsed_s, {bundle: executed}, {bundle: MAX_BATCH})


def traffic(frames_per_s: float, seconds: int, noise: random.Random) -> Iterator[ServerLook]:
    """One server that takes what has come since the last batch: batches grow with the load, as they do."""
    for _ in range(seconds // 2):
        counts: dict[int, float] = {}
        for _ in range(20):
            waiting = frames_per_s * A_S / max(1e-3, 1 - frames_per_s * K_S)
            size = min(MAX_BATCH, max(1, round(noise.gauss(waiting, 0.6 + 0.2 * waiting))))
            counts[size] = counts.get(size, 0) + 1
        total = sum(size * count for size, count in counts.items())
        share = 2 * frames_per_s / total
        yield look({size: max(1, count * share) for size, count in counts.items()}, noise=noise)


def test_nothing_is_promised_before_the_first_batches() -> None:
    model = CapacityModel(MAX_BATCH)
    assert model.rates({"aa": 10.0}) == {}
    model.learn([ServerLook(1), look({1: 3})])
    assert model.rates({"aa": 10.0}) == {}, "three batches are not enough"
    assert model.cost("aa") is None


def test_the_cost_is_that_of_the_batches_and_the_rate_that_of_the_largest() -> None:
    model = CapacityModel(MAX_BATCH)
    model.learn([look({1: 20, 2: 30, 4: 10})])
    cost = model.cost("aa")
    assert cost is not None
    assert cost.of(8) == pytest.approx(A_S + 8 * K_S, rel=0.01)
    assert model.rates({"aa": 1.0})[1] == pytest.approx(TRUE_RATE, rel=0.01)


def test_dispatchers_limit_and_the_budget_bound_the_batch() -> None:
    model = CapacityModel(4)
    model.learn([look({1: 20, 2: 30, 4: 10})])
    assert model.rates({"aa": 1.0})[1] == pytest.approx(4 / (A_S + 4 * K_S), rel=0.01)
    slow = CapacityModel(MAX_BATCH)
    slow.learn([look({1: 20, 2: 20}, a=0.05, k=0.06)])
    assert slow.rates({"aa": 1.0})[1] == pytest.approx(3 / 0.23, rel=0.01), "four frames would take 0.29 s"


def test_a_second_instance_that_shares_one_core_brings_nothing() -> None:
    model = CapacityModel(MAX_BATCH)
    model.learn([look({1: 20, 2: 20, 4: 10})])
    model.learn([look({2: 40, 4: 20, 8: 10}, n=2, slow=2.0)])
    rates = model.rates({"aa": 1.0})
    assert gain(rates, 2) == pytest.approx(0.0, abs=0.02)


def test_a_second_instance_with_a_core_of_its_own_doubles() -> None:
    model = CapacityModel(MAX_BATCH)
    model.learn([look({1: 20, 2: 20, 4: 10})])
    model.learn([look({2: 40, 4: 20, 8: 20}, n=2)])
    assert gain(model.rates({"aa": 1.0}), 2) == pytest.approx(1.0, abs=0.02)


def test_idle_batches_promise_no_gain() -> None:
    """At a tenth of two instances' time they never meet, and cost what they cost alone."""
    model = CapacityModel(MAX_BATCH)
    model.learn([look({1: 20, 2: 20, 4: 10})])
    model.learn([look({1: 30}, n=2)])
    assert 2 not in model.rates({"aa": 1.0})


def test_a_quota_of_the_processor_bounds_what_lone_batches_promise() -> None:
    """Each batch runs freely in 20 ms of a core, as long as there are few; a quarter of a core does not bear many."""
    model = CapacityModel(MAX_BATCH)
    batches = look({1: 20, 2: 10}, a=0.0, k=0.02)
    model.learn([replace(batches, cores=0.25, cpu_s=40 * 0.02)])
    assert model.rates({"aa": 1.0})[1] == pytest.approx(0.25 / 0.02)
    model.learn([replace(batches, instances=2, elapsed_s=0.5, cores=0.25, cpu_s=40 * 0.02)])
    assert gain(model.rates({"aa": 1.0}), 2) == pytest.approx(0.0)
    free = CapacityModel(MAX_BATCH)
    free.learn([replace(batches, cpu_s=40 * 0.02)])
    assert free.rates({"aa": 1.0})[1] == pytest.approx(1 / 0.02, rel=0.01)


def test_old_costs_are_forgotten_while_new_ones_come() -> None:
    model = CapacityModel(MAX_BATCH)
    model.learn([look({1: 20, 2: 20, 4: 20})])
    for _ in range(120):
        model.learn([look({1: 10, 2: 10, 4: 10}, a=3 * A_S, k=3 * K_S)])
    assert model.rates({"aa": 1.0})[1] == pytest.approx(TRUE_RATE / 3, rel=0.02)


def test_a_pause_forgets_nothing() -> None:
    model = CapacityModel(MAX_BATCH)
    model.learn([look({1: 20, 2: 20, 4: 20})])
    for _ in range(1000):
        model.learn([look({})])
    assert model.rates({"aa": 1.0})[1] == pytest.approx(TRUE_RATE, rel=0.01)


def test_bundles_share_a_server_so_their_loads_add_up() -> None:
    model = CapacityModel(MAX_BATCH)
    model.learn([look({1: 20, 4: 20}, bundle="aa"), look({1: 20, 4: 20}, bundle="bb", a=3 * A_S, k=3 * K_S)])
    alone, other = model.rates({"aa": 1.0})[1], model.rates({"bb": 1.0})[1]
    both = model.rates({"aa": 30.0, "bb": 10.0})[1]
    assert 40 / both == pytest.approx(30 / alone + 10 / other)
    assert model.rates({"aa": 30.0, "bb": 10.0, "unseen": 5.0})[1] == pytest.approx(both)
    assert model.bundles() == ("aa", "bb")


def forecast(forecaster: Forecaster, model: CapacityModel, streams: int, now_s: float) -> Forecast:
    offered = 2.0 * streams
    rate = capacity(model.rates({"aa": offered}), 1)
    return forecaster.take(
        now_s, streams=streams, frames_per_s=offered, server_frames_per_s=rate, ready=1, most=4, target_load=0.75
    )


@pytest.mark.parametrize("streams", [20, 30, 40])
@pytest.mark.parametrize("seed", range(6))
def test_after_a_minute_the_load_of_twice_the_streams_is_foretold(streams: int, seed: int) -> None:
    """Batches are small at first and large later, and each is noisy by 30 %.

    From a fifth of the capacity on the foretold load is within 15 %; below it nearly all batches are single frames.
    """
    noise, model, forecaster = random.Random(seed), CapacityModel(MAX_BATCH), Forecaster()
    for i, each in enumerate(traffic(2.0 * streams, 60, noise)):
        model.learn([each])
        now = forecast(forecaster, model, streams, 2.0 * i)
    foretold = now.predict(2 * streams)
    for i, each in enumerate(traffic(4.0 * streams, 60, noise)):
        model.learn([each])
        then = forecast(forecaster, model, 2 * streams, 60 + 2.0 * i)
    assert foretold == pytest.approx(then.load, rel=0.15)
    assert then.load == pytest.approx(4.0 * streams / TRUE_RATE, rel=0.15)
    assert then.line is not None
    assert then.line.r_squared > 0.9


def test_what_still_fits_follows_from_the_target() -> None:
    forecaster = Forecaster()
    seen = forecaster.take(
        0.0, streams=10, frames_per_s=50.0, server_frames_per_s=100.0, ready=1, most=3, target_load=0.75
    )
    assert (seen.load, seen.streams_left, seen.streams_left_at_most) == (0.5, 5, 35)
    assert seen.line is not None
    assert (seen.line.points, seen.predict(20)) == (1, 1.0)
    assert math.isnan(seen.line.slope_error)
    gone = forecaster.take(
        1.0, streams=0, frames_per_s=0.0, server_frames_per_s=100.0, ready=0, most=3, target_load=0.75
    )
    assert (gone.load, gone.streams_left, gone.streams_left_at_most) == (0.0, 0, 45), "as the last ones were"
    unknown = forecaster.take(
        2.0, streams=3, frames_per_s=math.nan, server_frames_per_s=None, ready=1, most=3, target_load=0.75
    )
    assert math.isnan(unknown.load)
    assert unknown.streams_left is None
    assert math.isnan(unknown.predict(10))


def test_cameras_that_went_do_not_say_that_many_are_hardly_a_load() -> None:
    """They count as streams for ten more seconds, while what they offer dwindles."""
    forecaster = Forecaster()
    offers = [(10, 50.0)] * 60 + [(10, 50.0 * 0.7**i) for i in range(10)] + [(0, 0.5)] * 20
    for i, (streams, frames_per_s) in enumerate(offers):
        seen = forecaster.take(
            float(i),
            streams=streams,
            frames_per_s=frames_per_s,
            server_frames_per_s=100.0,
            ready=1,
            most=1,
            target_load=0.75,
        )
    assert seen.predict(10) == pytest.approx(0.5)
    assert seen.streams_left == pytest.approx((75 - 0.5) / 5, abs=1)


LOOKS = st.builds(
    ServerLook,
    instances=st.integers(1, 6),
    elapsed_s=st.floats(0, 100),
    executed=st.dictionaries(
        st.sampled_from(["aa", "bb"]),
        st.dictionaries(st.integers(1, 64), st.builds(BatchTotals, st.integers(1, 500), st.floats(1e-6, 50))),
    ),
    max_batch=st.just({"aa": 16, "bb": 0}),
    cores=st.none() | st.floats(0.01, 64),
    cpu_s=st.none() | st.floats(0, 1e5),
)


@settings(deadline=None)
@given(
    st.lists(st.lists(LOOKS, max_size=3), max_size=12),
    st.dictionaries(st.sampled_from(["aa", "cc"]), st.floats(0, 1e4)),
)
def test_whatever_servers_say_rates_are_finite_and_above_zero(
    rounds: list[list[ServerLook]], mix: dict[str, float]
) -> None:
    model = CapacityModel(MAX_BATCH)
    for looks in rounds:
        model.learn(looks)
    assert all(n >= 1 and math.isfinite(rate) and rate > 0 for n, rate in model.rates(mix).items())
