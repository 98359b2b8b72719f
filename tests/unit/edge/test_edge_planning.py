"""A camera that plans, on a clock, a link and a device of the test: what it chooses, when, and what it says of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace as dataclass_replace
from pathlib import Path

import pytest
from msgspec.structs import replace as with_fields

from edge_client.encode.split import SplitHead
from edge_client.planning.design_change import DesignChange
from edge_client.planning.device import Device
from edge_client.planning.device_load import DeviceLoad
from edge_client.planning.settings import PlanSettings
from edge_client.planning.stage import Planned, PlanningStage, open_planning
from edge_client.rate.governor import LinkReading
from edge_client.rate.packet_times import LinkSpeed
from edge_client.settings import EdgeSettings
from narrows.contract.bundle import SplitBundle
from narrows.contract.errors import EncoderError
from narrows.contract.schedule import Constraints, Objective
from narrows.contract.wire import Control, FrameIdentity
from tests import split_bundles
from tests.unit.edge.planning_camera import still_device

NAMES = ["cut 0, level 0", "cut 0, level 1", "cut 1, level 0", "cut 1, level 1"]
FRAME_S = 0.1
WIDE, THIN = 1_000_000.0, 2_000.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    """Cut 0 is quick and large, cut 1 slow and small; level 1 of either loses too much to be chosen."""
    return split_bundles.write(tmp_path_factory.mktemp("bundle"), unlike=True)


class Camera:
    """Frames that take as long as the test says, over a link that is as it says."""

    def __init__(
        self,
        bundle: SplitBundle,
        *,
        took_s: Callable[[int], float] = lambda cut: (0.001, 0.002)[cut],
        settings: PlanSettings | None = None,
        device: Device | None = None,
    ) -> None:
        self.now_s, self.goodput, self.frames = 100.0, WIDE, 0
        self.took_s, self.control, self.waits = took_s, Control(), (0, 0.0)
        self.load, self.celsius = 0.0, 40.0
        self.told: list[DesignChange] = []
        self.head = SplitHead(bundle)
        self.stage = PlanningStage(
            bundle,
            self.head,
            settings or PlanSettings(),
            lambda: self.now_s,
            self.told.append,
            device or still_device(limit_cores=lambda: 1 - self.load),
            lambda: self.celsius,
        )

    def plan(self, round_trip_s: float = 0.01) -> Planned:
        link = LinkReading(math.inf, math.inf, round_trip_s, 0.0, LinkSpeed(self.goodput))
        return self.stage.plan(link, self.waits, self.control, FrameIdentity(7, self.frames))

    def play(self, seconds: float) -> list[int]:
        """The cuts of the frames of so many seconds."""
        cuts = []
        for _ in range(round(seconds / FRAME_S)):
            planned = self.plan()
            assert planned.cut == self.head.cut
            design = self.stage.design
            assert design is not None
            assert design.name == f"cut {planned.cut}, level {planned.level}"
            self.stage.coded(planned.level, self.took_s(planned.cut), round(design.link_bytes) - 190)
            cuts.append(planned.cut)
            self.frames += 1
            self.now_s += FRAME_S
        return cuts


def test_a_link_that_gets_thin_is_answered_by_a_smaller_design_within_seconds_and_a_wide_one_by_the_quick_one(
    bundle: SplitBundle,
) -> None:
    camera = Camera(bundle)
    assert set(camera.play(5)) == {0}
    camera.goodput = THIN
    thin = camera.play(5)
    assert thin[20:] == [1] * 30
    camera.goodput = WIDE
    assert set(camera.play(10)[50:]) == {0}
    assert [(each.before, each.design, each.reason) for each in camera.told] == [
        (None, NAMES[0], "first plan"),
        (NAMES[0], NAMES[2], "better by the objective"),
        (NAMES[2], NAMES[0], "better by the objective"),
    ]
    assert camera.told[1].first == FrameIdentity(7, 50 + thin.index(1))
    assert camera.told[1].seen.goodput_bytes_per_s == THIN
    assert camera.stage.changes == {"better by the objective": 2}


def test_a_device_of_which_nothing_is_known_has_a_useful_plan_within_two_seconds(bundle: SplitBundle) -> None:
    """Heads take 300 times as long as by the table, or a hundredth: the design of less work, or that of fewer bytes."""
    slow = Camera(bundle, took_s=lambda cut: (0.3, 0.6)[cut])
    slow.goodput = 4_000.0
    assert slow.plan() == Planned(1, 0)
    assert slow.play(2.0)[-1] == 0
    quick = Camera(bundle, took_s=lambda cut: (0.00001, 0.00002)[cut])
    quick.goodput = 4_000.0
    assert quick.play(2.0)[-1] == 1


def test_a_link_that_is_away_is_noticed_while_a_packet_waits(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.play(2)
    camera.waits = (670, 5.0)
    assert camera.play(2)[-1] == 1
    assert camera.told[-1].seen.goodput_bytes_per_s == 0


def test_a_noisy_link_causes_no_flapping(bundle: SplitBundle) -> None:
    camera, seen = Camera(bundle), set()
    for turn in range(300):
        camera.goodput = 8_000.0 if turn % 2 else 7_000.0  # either side of where the two designs are equal
        seen |= set(camera.play(FRAME_S))
    assert len(camera.told) <= 2


def test_a_crowded_cloud_is_answered_by_the_cut_that_leaves_it_less(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.goodput = 9_000.0
    assert set(camera.play(3)) == {0}
    quiet = Camera(bundle)
    quiet.goodput = 6_000.0
    assert quiet.play(3)[-1] == 1
    quiet.control = Control(cloud_load=0.9)  # cut 1's tail takes 50 ms of a server, cut 0's half a millisecond
    assert quiet.play(3)[-1] == 0
    assert quiet.told[-1].seen.cloud_load == 0.9


def test_a_pinned_design_is_held_until_it_is_let_go_whatever_is_measured(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.play(1)
    camera.control = Control(design=NAMES[3])
    assert camera.plan() == Planned(1, 1)
    assert set(camera.play(3)) == {1}
    assert (camera.told[-1].reason, camera.told[-1].design) == ("pinned by the operator", NAMES[3])
    camera.control = Control()
    assert camera.plan() == Planned(0, 0)
    assert camera.told[-1].reason == "no longer pinned"


def test_a_pin_that_the_bundle_does_not_have_is_ignored_and_planning_goes_on(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.control = Control(design="cut 9, level 0")
    assert set(camera.play(2)) == {0}
    camera.goodput = THIN
    assert camera.play(3)[-1] == 1


def test_a_cut_that_the_cloud_does_not_serve_is_left_and_known_while_no_record_is_there(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.play(1)
    camera.control = Control(cuts=(1,))
    assert set(camera.play(1)) == {1}
    assert camera.told[-1].reason == "the one before cannot be used any more"
    camera.stage.plan(LinkReading(math.inf, math.inf, 0.0, 0.0, LinkSpeed(WIDE)), (0, 0.0), None, FrameIdentity(7, 0))
    assert camera.head.cut == 1
    camera.control = Control()
    assert camera.play(5)[-1] == 0


def test_a_cut_at_which_a_frame_has_no_room_in_a_packet_is_left_for_a_minute(bundle: SplitBundle) -> None:
    """Were it told nothing, the planner would choose it for each frame that is lost there."""
    camera = Camera(bundle)
    assert set(camera.play(1)) == {0}
    camera.stage.too_large()
    assert set(camera.play(59)) == {1}
    assert camera.told[-1].reason == "the one before cannot be used any more"
    assert camera.play(10)[-1] == 0


def test_where_there_is_no_other_cut_frames_without_room_cost_themselves_alone(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.control = Control(cuts=(0,))
    assert set(camera.play(1)) == {0}
    camera.stage.too_large()
    assert set(camera.play(1)) == {0}


def test_a_level_that_no_packet_has_room_for_is_not_planned(tmp_path: Path) -> None:
    """The coder would send a coarser one each time, and the planner take that for the size of the finer."""
    made = split_bundles.write(tmp_path)
    first, *others = made.manifest.cuts[0].levels
    cuts = [with_fields(made.manifest.cuts[0], levels=(with_fields(first, bytes=2e6), *others)), made.manifest.cuts[1]]
    large = SplitBundle(made.folder, made.id, dataclass_replace(made.manifest, cuts=tuple(cuts)), made.plans)
    camera = Camera(large, settings=PlanSettings(Objective.SERVER_COST))
    camera.play(1)
    said = camera.stage.explanation
    assert said is not None
    assert said.designs == tuple(NAMES[1:])


def test_a_pin_to_a_cut_that_is_not_served_holds_once_it_is(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.control = Control(design=NAMES[2], cuts=(0,))
    assert set(camera.play(1)) == {0}
    camera.control = Control(design=NAMES[2])
    assert camera.plan() == Planned(1, 0)


def test_heads_are_loaded_before_the_first_frame_so_that_a_change_costs_none(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path, unlike=True)
    camera = Camera(made)
    (tmp_path / "head1.onnx").unlink()
    camera.goodput = THIN
    assert camera.play(3)[-1] == 1
    assert camera.head.latent(split_bundles.picture(0)).cut == 1


def test_a_head_that_cannot_be_used_costs_its_cut_and_no_frame(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path, unlike=True)
    (tmp_path / "head1.onnx").write_bytes((tmp_path / "head0.onnx").read_bytes())
    camera = Camera(made)
    camera.control = Control(design=NAMES[2])
    assert set(camera.play(2)) == {0}
    (tmp_path / "head1.onnx").unlink()
    camera = Camera(SplitBundle(made.folder, made.id, made.manifest, made.plans))
    camera.goodput = THIN
    assert set(camera.play(3)) == {0}


def test_a_head_that_loads_and_cannot_be_run_costs_its_cut_and_not_the_camera(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path, unlike=True)
    (tmp_path / "head1.onnx").write_bytes(split_bundles.head_that_cannot_be_run())
    camera = Camera(made)
    camera.goodput = THIN
    assert set(camera.play(3)) == {0}


def test_a_folder_without_heads_is_refused(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path, unlike=True)
    head = SplitHead(made)
    for cut in (0, 1):
        (tmp_path / f"head{cut}.onnx").unlink()
    with pytest.raises(EncoderError, match="has no head"):
        PlanningStage(made, head, PlanSettings(), lambda: 0.0)


def test_accuracy_may_be_given_up_where_the_operator_says_so(bundle: SplitBundle) -> None:
    loose = PlanSettings(constraints=Constraints(least_accuracy=0.5))
    camera = Camera(bundle, settings=loose)
    camera.goodput = THIN
    assert camera.play(3)
    assert camera.plan().level == 1
    saving = Camera(bundle, settings=PlanSettings(Objective.SERVER_COST))
    saving.goodput = THIN
    assert set(saving.play(3)) == {0}


def test_costly_scenes_count_as_a_thinner_link(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.goodput = 9_000.0
    camera.play(2)
    for _ in range(30):
        planned = camera.plan()
        camera.stage.coded(planned.level, camera.took_s(planned.cut), 5_000 if planned.cut == 0 else 2_000)
        camera.now_s += FRAME_S
    assert camera.plan().cut == 1
    assert camera.told[-1].seen.size_ratio > 2


def test_the_explanation_follows_the_choice_at_once_and_else_every_ten_seconds(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    assert camera.stage.explanation is None
    camera.play(1)
    first = camera.stage.explanation
    assert first is not None
    assert (first.chosen.design, first.reason, first.designs) == (NAMES[0], "first plan", tuple(NAMES))
    camera.play(8)
    assert camera.stage.explanation is first
    camera.play(2)
    assert camera.stage.explanation is not first
    camera.control = Control(design=NAMES[0])
    camera.plan()
    assert camera.stage.explanation.reason == "pinned by the operator"


def test_a_change_is_one_line_of_numbers_for_the_journal(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.load, camera.celsius = 0.25, 61.5
    camera.play(1)
    camera.goodput = THIN
    camera.play(3)
    line = camera.told[-1].line()
    assert (line["design"], line["before"], line["reason"]) == (NAMES[2], NAMES[0], "better by the objective")
    assert (line["goodput_bytes_per_s"], line["temperature_c"], line["device_load"]) == (2000, 61.5, 0.25)
    assert (line["epoch"], line["round_trip_ms"]) == (7, 10.0)
    assert camera.told[0].line()["before"] is None


def test_only_a_split_network_whose_level_is_not_fixed_is_planned(bundle: SplitBundle, tmp_path: Path) -> None:
    settings = EdgeSettings("pictures", "cam-1", "redis://127.0.0.1:9", bundle.folder, tmp_path)
    head = SplitHead(bundle)
    assert open_planning(bundle, head, settings, lambda _: None) is not None
    fixed = EdgeSettings("pictures", "cam-1", "redis://127.0.0.1:9", bundle.folder, tmp_path, level=1)
    assert open_planning(bundle, head, fixed, lambda _: None) is None


def test_what_a_frame_takes_beside_its_head_is_measured_told_and_written_down(bundle: SplitBundle) -> None:
    used_s = iter(number * 0.04 for number in range(1000))
    camera = Camera(
        bundle,
        device=Device(load=DeviceLoad(lambda: 0.0, lambda: (0, 0), lambda: 1.0), processor_s=lambda: next(used_s)),
    )
    for _ in range(3):
        camera.stage.begins()
        camera.play(FRAME_S)
    camera.goodput = THIN
    camera.play(3)
    assert camera.told[-1].line()["overhead_ms"] == 40.0
    assert camera.stage.explanation is not None
    assert camera.stage.explanation.overhead_s == pytest.approx(0.04)


def test_a_frame_is_corrected_by_what_it_waited_itself(bundle: SplitBundle) -> None:
    """Its head took ten times as long as by the table, for nine tenths of which it stood in line."""
    times = iter([(0.0, 0.0), (0.001e9, 0.009e9)])
    slowed = DeviceLoad(lambda: 0.0, lambda: next(times), lambda: math.inf)
    camera = Camera(bundle, took_s=lambda _: 0.01, device=Device(load=slowed, processor_s=lambda: 0.0))
    camera.play(FRAME_S)
    camera.stage.plan(
        LinkReading(math.inf, math.inf, 0.01, 0.0), (0, 0.0), Control(design=NAMES[0]), FrameIdentity(7, 1)
    )
    assert camera.stage.explanation is not None
    assert camera.stage.explanation.device_factor == pytest.approx(1.0)


def test_a_packet_that_waits_for_a_long_round_trip_is_not_of_a_link_that_is_away(bundle: SplitBundle) -> None:
    camera = Camera(bundle)
    camera.waits = (670, 3.0)
    camera.plan(round_trip_s=2.5)
    assert camera.told[0].seen.goodput_bytes_per_s == WIDE
    camera.control = Control(design=NAMES[3])
    camera.plan(round_trip_s=0.01)
    assert camera.told[1].seen.goodput_bytes_per_s == 0.0


def test_plans_that_find_the_link_busy_are_no_frames_work(bundle: SplitBundle) -> None:
    used_s = [0.0]
    load = DeviceLoad(lambda: 0.0, lambda: (0, 0), lambda: 1.0)
    camera = Camera(bundle, device=Device(load=load, processor_s=lambda: used_s[0]))
    for _ in range(6):
        for _ in range(20):
            planned = camera.plan()
            used_s[0] += 0.05
        camera.now_s += 11
        planned = camera.plan()
        used_s[0] += 0.01
        camera.stage.begins()
        used_s[0] += 0.3
        camera.stage.coded(planned.level, 0.3, 500, beside_s=0.02)
    camera.now_s += 11
    camera.plan()
    assert camera.stage.explanation is not None
    assert camera.stage.explanation.overhead_s == pytest.approx(0.03)
