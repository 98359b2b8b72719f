"""The plan table of a split network's bundle."""

from __future__ import annotations

import pytest

from narrows.contract.bundle import SplitManifest
from narrows.contract.bundle.split_table import design_name, plan_table
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
