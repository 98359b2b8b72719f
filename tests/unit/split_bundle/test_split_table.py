"""The plan table of a split network's bundle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields

from edge_client.planning.settings import least_accuracy
from narrows.contract.bundle import SplitManifest
from narrows.contract.bundle.split_manifest import CutLevel
from narrows.contract.bundle.split_table import KEPT, default_level, design_name, plan_table, trusted_agreements
from narrows.contract.schedule import Conditions, Objective, Planner, PlanTable, Reason
from tests import split_bundles


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> SplitManifest:
    return split_bundles.write(tmp_path_factory.mktemp("bundle")).manifest


def test_each_level_of_each_cut_is_a_design_with_what_was_measured_of_it(manifest: SplitManifest) -> None:
    table = plan_table(manifest)
    assert [(design.cut, design.name) for design in table.designs] == [
        (0, "cut 0, level 0"), (0, "cut 0, level 1"), (1, "cut 1, level 0"), (1, "cut 1, level 1"),
    ]  # fmt: skip
    for design, level in zip(table.designs, (0, 1, 0, 1), strict=True):
        cut = manifest.cuts[design.cut or 0]
        assert (design.link_bytes, design.accuracy) == (cut.levels[level].bytes, cut.levels[level].agreement)
        assert (design.device_s, design.server_s, design.device_energy_j) == pytest.approx((1e-3, 5e-4, 3e-3))


def test_a_table_is_of_the_network_that_was_cut_and_crosses_as_a_record(manifest: SplitManifest) -> None:
    table = plan_table(manifest)
    assert table.network_sha256 == manifest.network_sha256
    assert PlanTable.parse(table.to_json()) == table


def test_a_planner_of_a_bundle_holds_on_to_the_design_that_was_pinned(manifest: SplitManifest) -> None:
    planner = Planner(plan_table(manifest), Objective.LATENCY)
    planner.pin(design_name(1, 0))
    decision = planner.plan(Conditions(1e6), 0.0)
    assert (decision.chosen.design.cut, decision.reason) == (1, Reason.PINNED)


def levels(*agreements: tuple[float, float]) -> tuple[CutLevel, ...]:
    """Each with its agreement and what that is not below on other pictures."""
    return tuple(CutLevel(8 - n, "range", 1000.0, mean, least) for n, (mean, least) in enumerate(agreements))


def with_levels(manifest: SplitManifest, *cuts: tuple[CutLevel, ...]) -> SplitManifest:
    changed = (with_fields(cut, levels=found) for cut, found in zip(manifest.cuts, cuts, strict=True))
    return replace(manifest, cuts=tuple(changed))


def kept(manifest: SplitManifest) -> list[str]:
    table = plan_table(manifest)
    return [each.name for each in table.designs if each.accuracy >= least_accuracy(table)]


def test_a_level_of_which_pictures_do_not_show_that_it_agrees_is_no_better_to_the_planner_than_to_the_default(
    manifest: SplitManifest,
) -> None:
    """Sixteen pictures of a classifier that all agree: the finest of each cut is left."""
    few, many = levels((1.0, 0.855), (1.0, 0.855)), levels((1.0, 0.998), (0.996, 0.992))
    assert [default_level(each) for each in (few, many)] == [0, 1]
    assert kept(with_levels(manifest, few, few)) == ["cut 0, level 0", "cut 1, level 0"]
    assert kept(with_levels(manifest, few, many)) == ["cut 0, level 0", "cut 1, level 0", "cut 1, level 1"]


def test_the_finest_level_is_trusted_with_what_it_agreed_and_no_more(manifest: SplitManifest) -> None:
    assert trusted_agreements(levels((1.0, 0.855), (1.0, 0.9))) == [KEPT, 0.9]
    assert trusted_agreements(levels((0.97, 0.95), (0.99, 0.94))) == [0.97, 0.94]
    assert trusted_agreements(levels((0.999, 0.998), (0.99, 0.94))) == [0.998, 0.94]
    assert kept(with_levels(manifest, levels((0.97, 0.95), (0.97, 0.95)), levels((1.0, 0.9), (1.0, 0.9)))) == [
        "cut 1, level 0"
    ]


def test_a_bundle_of_before_says_no_bounds_and_its_agreements_count(manifest: SplitManifest) -> None:
    before = with_levels(manifest, levels((1.0, 0.0), (0.993, 0.0)), levels((0.98, 0.0), (0.97, 0.0)))
    assert [each.accuracy for each in plan_table(before).designs] == [1.0, 0.993, 0.98, 0.97]
    assert kept(before) == ["cut 0, level 0", "cut 0, level 1"]
    assert "95 %" not in plan_table(before).measure
    rough = with_levels(manifest, levels((0.98, 0.0), (0.975, 0.0)), levels((0.96, 0.0), (0.5, 0.0)))
    assert kept(rough) == ["cut 0, level 0", "cut 0, level 1"]
    assert (
        "95 %" in plan_table(with_levels(manifest, levels((1.0, 0.9), (1.0, 0.9)), levels((1.0, 0), (1.0, 0)))).measure
    )
