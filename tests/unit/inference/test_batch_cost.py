import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.inference.cost import BatchCost, BatchTotals, CostFit, totals_since


def executed(cost: BatchCost, **counts: int) -> dict[int, BatchTotals]:
    """Synthetic statistics: ``b8=3`` is three executions of batches of 8."""
    sizes = {int(name[1:]): count for name, count in counts.items()}
    return {size: BatchTotals(count, count * cost.of(size)) for size, count in sizes.items()}


def test_nothing_is_known_before_the_first_execution() -> None:
    assert CostFit().cost() is None
    assert CostFit().observe({}).cost() is None


@given(base_ms=st.floats(0.1, 50), per_frame_ms=st.floats(0.1, 50))
def test_both_parts_of_the_cost_are_found_from_two_batch_sizes(base_ms: float, per_frame_ms: float) -> None:
    true = BatchCost(base_ms / 1e3, per_frame_ms / 1e3)
    found = CostFit().observe(executed(true, b1=50, b8=50)).cost()
    assert found is not None
    assert found.of(8) == pytest.approx(true.of(8), rel=0.01)
    assert found.base_s == pytest.approx(true.base_s, rel=0.01, abs=true.of(8) * 0.01)


@given(size=st.integers(1, 64), count=st.integers(1, 10_000))
def test_with_one_batch_size_its_own_cost_is_right_and_larger_ones_are_not_flattered(size: int, count: int) -> None:
    true = BatchCost(0.010, 0.001)
    found = CostFit().observe({size: BatchTotals(count, count * true.of(size))}).cost()
    assert found is not None
    assert found.of(size) == pytest.approx(true.of(size), rel=1e-3)
    assert found.of(2 * size) >= true.of(2 * size)


def test_neither_part_becomes_negative_when_noise_bends_the_line() -> None:
    steep = CostFit().observe({1: BatchTotals(10, 0.01), 8: BatchTotals(10, 10.0)}).cost()
    falling = CostFit().observe({1: BatchTotals(10, 1.0), 8: BatchTotals(10, 0.1)}).cost()
    assert steep is not None
    assert steep.base_s == 0
    assert steep.per_frame_s > 0
    assert falling is not None
    assert falling.per_frame_s == 0
    assert falling.base_s > 0


def test_the_old_cost_is_forgotten() -> None:
    old, new = BatchCost(0.010, 0.010), BatchCost(0.001, 0.002)
    fit = CostFit().observe(executed(old, b1=100, b8=100))
    for _ in range(20):
        fit = fit.observe(executed(new, b1=10, b8=10), keep=0.5)
    found = fit.cost()
    assert found is not None
    assert found.of(8) == pytest.approx(new.of(8), rel=0.02)


def test_a_long_silence_does_not_lose_what_is_known() -> None:
    fit = CostFit().observe(executed(BatchCost(0.01, 0.001), b4=3))
    assert fit.observe({}, keep=0.0) == fit


def test_totals_are_compared_by_batch_size() -> None:
    before = {1: BatchTotals(5, 0.5), 2: BatchTotals(1, 0.2)}
    now = {1: BatchTotals(8, 0.8), 2: BatchTotals(1, 0.2), 4: BatchTotals(2, 1.0)}
    since = totals_since(now, before)
    assert set(since) == {1, 4}
    assert since[1].executions == 3
    assert since[1].compute_s == pytest.approx(0.3)
    assert since[4] == BatchTotals(2, 1.0)


def test_counters_that_were_reset_count_from_zero() -> None:
    assert totals_since({1: BatchTotals(2, 0.1)}, {1: BatchTotals(9, 0.9)}) == {1: BatchTotals(2, 0.1)}


@pytest.mark.parametrize(("budget_s", "largest"), [(0.010, 1), (0.035, 5), (10.0, 8), (0.0, 1)])
def test_the_largest_batch_keeps_within_the_budget(budget_s: float, largest: int) -> None:
    assert BatchCost(0.010, 0.005).largest_batch(budget_s, max_batch=8) == largest
