"""The frontier's bench: what is coded, compared, trained, and kept when it is stopped."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from typer.testing import CliRunner

from benchmarks.frontier import __main__ as bench
from benchmarks.frontier.coding import PACKET_BYTES, SECTION_BYTES, LabelCoder, SymbolCoder, mean_by_label
from benchmarks.frontier.costs import Costs, Target, cost_of
from benchmarks.frontier.data import read_parts
from benchmarks.frontier.margins import Contender, by_budget, margin, paired_interval
from benchmarks.frontier.networks import build, take_found_shapes
from benchmarks.frontier.plan import PRICES, Cell, Plan, RunFolder
from benchmarks.frontier.plot import best_by_budget, draw
from benchmarks.frontier.rows import Judged, contenders, rows_of
from benchmarks.frontier.score import Scored, keep, miou_of, read, score
from benchmarks.frontier.ship import ship
from benchmarks.frontier.tasks import setup_of
from benchmarks.frontier.train import parse_options, plan_of
from benchmarks.search.__main__ import likes_best
from narrows.cli.root import app
from narrows.contract.errors import ConfigError, RecordError, TrainingDiverged, WeightsMismatch
from narrows.models.dataset import LabelledPicture
from narrows.models.export.cost import count_convolutions
from narrows.models.export.resources import Resources
from narrows.models.nn.cloud_decoder import CloudShape
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.stored import write_stored
from narrows.models.nn.weak import WeakShape
from narrows.models.nn.weak_designs import Design, WeakNetwork
from narrows.models.split.device import Coded, Effort, Measured
from narrows.models.split.measurements import DeviceMeasurement
from narrows.models.training import fitting
from narrows.models.training.config import TrainingConfig
from narrows.models.training.mask_setup import mask_task
from narrows.models.training.run_folder import keep_settings
from narrows.models.training.teacher import Teacher
from tests.docs.blocks import ROOT


class Counting:
    """A device that takes as many processor seconds as it was asked before."""

    def __init__(self) -> None:
        self.asked = 0

    def measure(self, model: bytes, effort: Effort) -> Measured:
        self.asked += 1
        return Measured("1", (1.0,), float(self.asked), None, ())

    def time_coding(self, job: object) -> Coded:
        raise AssertionError("nothing is coded here")


LABELS, CHANNELS, GRID = 3, 4, (6, 8)
SEARCHED = WeakShape()
COSTS = Costs(Resources(200_000_000, 150_000, 800_000, "Conv"), 5.0, 200_000, None, None)
LEVELS = [f"level {level}" for level in range(len(PRICES))]


def scene(seed: int, count: int = 24) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Symbols that are near 6 under label 2, and else 0; labels stand in halves."""
    chance = np.random.default_rng(seed)
    labels = np.zeros((count, *GRID), dtype=np.uint8)
    for each in labels:
        each[:, chance.integers(2, 7) :] = 2
    noise = chance.integers(-1, 2, size=(count, CHANNELS, *GRID))
    return (noise + 6 * (labels[:, None] == 2)).astype(np.int8), labels


def test_the_mean_of_a_label_is_in_eighths_of_a_symbol() -> None:
    symbols = np.array([[[[1, 2, -3]]]], dtype=np.int8)
    assert mean_by_label(symbols, np.array([[[0, 0, 2]]], dtype=np.uint8), LABELS).tolist() == [[12], [0], [-24]]


def test_symbols_cost_less_where_the_label_foretells_them_and_come_back() -> None:
    symbols, labels = scene(1)
    known, blind = SymbolCoder.count(symbols, labels, LABELS), SymbolCoder.count(symbols, None, LABELS)
    others, under = scene(2, 8)
    pairs = list(zip(others, under, strict=True))
    for one, label in pairs:
        assert np.array_equal(known.decode(known.encode(one, label), one.shape, label), one)
    sizes = [sum(len(coder.encode(one, label)) for one, label in pairs) for coder in (known, blind)]
    assert sizes[0] < sizes[1]


def test_masks_are_coded_by_tables_of_their_own_size() -> None:
    masks = [np.kron(scene(n, 1)[1][0], np.ones((4, 4), dtype=np.uint8)) for n in range(6)]
    coder = LabelCoder.count([masks, [mask[::2, ::2] for mask in masks]], LABELS)
    assert 0 < coder.bytes_of(masks[0][::2, ::2]) <= coder.bytes_of(masks[0])


def frames(share: float, count: int = 40) -> Scored:
    """So much of either class is right, in each frame."""
    right = round(1000 * share)
    counts = np.array([[[right, 1000 - right], [1000 - right, right]]] * count, dtype=np.int64)
    return Scored(np.full(count, 100), counts)


def contender(name: str, share: float, bits_per_pixel: float = 0.01) -> Contender:
    return Contender(name, bits_per_pixel, (frames(share),))


def test_features_win_by_three_points_whose_lower_bound_is_above_zero() -> None:
    won = margin([contender("f", 0.9)], [contender("m", 0.85), contender("worse", 0.2)])
    assert won is not None
    assert won["points"] == pytest.approx(100 * (0.9 / 1.1 - 0.85 / 1.15))
    assert (won["mask"], won["wins"], won["send"]) == ("m", True, "features")
    close = margin([contender("f", 0.86)], [contender("m", 0.85)])
    assert close is not None
    assert (close["wins"], close["send"]) == (False, "mask")


def test_points_that_few_blocks_make_are_no_win() -> None:
    few = frames(0.8)
    few.counts[:10] = frames(1.0, 10).counts
    apart = margin([Contender("f", 0.01, (few,))], [contender("m", 0.8)])
    assert apart is not None
    assert apart["points"] > 3
    assert apart["interval"][0] == 0
    assert apart["send"] == "mask"


@pytest.mark.parametrize(("count", "send"), [(6, "mask"), (30, "mask"), (31, "features")])
def test_few_frames_are_no_proof(count: int, send: str) -> None:
    """One block is like itself in every draw: an interval of no width, whose lower bound is above 0."""
    ours, theirs = (Contender(name, 0.01, (frames(share, count),)) for name, share in (("f", 0.9), ("m", 0.8)))
    apart = margin([ours], [theirs])
    assert apart is not None
    assert apart["send"] == send
    assert (apart["interval"] == [-100, 100]) == (send == "mask")


def test_what_takes_more_bits_is_not_compared() -> None:
    assert margin([contender("f", 0.9, 0.051)], [contender("m", 0.8)]) is None
    found = by_budget(
        {
            0.2: {
                "features": [contender("f", 0.9)],
                "layered": [contender("l", 0.95)],
                "edge": [contender("m", 0.8)],
                "refined": [contender("r", 0.99)],  # a mask all the same
            }
        }
    )
    assert found["0.2"]["features"] == "l"
    assert (found["0.2"]["wins"], found["0.2"]["send"]) == (True, "features"), "those win by themselves"
    layered = by_budget(
        {0.2: {"features": [contender("f", 0.8)], "layered": [contender("l", 0.95)], "edge": [contender("m", 0.8)]}}
    )
    assert (layered["0.2"]["wins"], layered["0.2"]["send"]) == (True, "layered"), "which cameras cannot send"
    assert by_budget({0.1: {"edge": [contender("m", 0.8)]}}) == {}


def test_of_several_seeds_the_mean_counts_and_not_the_best() -> None:
    """Twelve tries beside one would win by chance alone."""

    def judged(design: Design, seed: int, share: float) -> Judged:
        return Judged(Cell(0.2, design, 0.5, seed), COSTS, {"level 0": frames(share)})

    lucky = [judged(Design.FEATURES, seed, share) for seed, share in ((1, 0.80), (2, 0.95), (3, 0.80))]
    found = by_budget(contenders([*lucky, judged(Design.EDGE, 1, 0.85)], 160_000))["0.2"]
    assert found["features"] == "0.2-features-0.5-s1+2+3 level 0"
    assert found["points"] == pytest.approx(100 * np.mean([0.8 / 1.2, 0.95 / 1.05, 0.8 / 1.2]) - 100 * 0.85 / 1.15)
    assert found["interval"] == pytest.approx([found["points"]] * 2), "every block is alike"
    assert found["send"] == "mask"
    small, large = lucky[0], replace(lucky[1], ways={"level 0": Scored(np.full(40, 400), frames(0.9).counts)})
    (one,) = contenders([small, large], 160_000)[0.2]["features"]
    assert one.bits_per_pixel == pytest.approx(8 * (100 + 400) / 2 / 160_000)
    (row, _) = sorted(rows_of([*lucky, judged(Design.EDGE, 1, 0.85)], 160_000), key=lambda each: -len(each["seeds"]))
    assert 100 * (row["miou"] - 0.85 / 1.15) == pytest.approx(found["points"]), "what the table shows is compared"


def test_an_interval_is_of_the_same_frames_in_blocks() -> None:
    one, other = frames(0.9).counts, frames(0.8).counts
    one[::2] = frames(1.0, 20).counts  # within every block alike: resampled blocks do not differ
    low, high = paired_interval(one, other)
    assert low == pytest.approx(high)
    assert low == pytest.approx(100 * (miou_of(one.sum(0)) - miou_of(other.sum(0))))
    with pytest.raises(ValueError, match="paired"):
        paired_interval(one, other[1:])


def test_scores_are_kept_whole(tmp_path: Path) -> None:
    keep(tmp_path / "a.npz", {"1/4": frames(0.9), "level 0": frames(0.8)})
    found = read(tmp_path / "a.npz")
    assert list(found) == ["1/4", "level 0"]
    assert found["1/4"].miou == pytest.approx(0.9 / 1.1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_scores_and_graphs_of_weights_that_were_trained_anew_are_made_anew(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cell, parts = RunFolder(tmp_path), Cell(0.05, Design.EDGE, 0.5, 1), read_parts(data, PLAN)
    folder.make()
    shapes = {"camera": asdict(WeakShape(widths=(8, 8, 8), head=8)), "cloud": asdict(CloudShape(16, 1, 16, 16))}
    folder.shape(cell).write_text(json.dumps(shapes))
    write_stored(build(cell, folder, parts.size, 2).state_dict(), folder.weights(cell))
    said = iter((0.8, 0.9))
    monkeypatch.setattr(bench, "score", lambda *_: {"1/4": frames(next(said))})
    device = Counting()
    for _ in range(2):
        judged = bench.judge(cell, parts, folder, Target(device))
        assert judged.ways["1/4"].miou == pytest.approx(frames(0.8).miou)
    first = folder.graphs(cell).camera.read_bytes()
    folder.shape(cell).write_text(json.dumps({**shapes, "camera": asdict(WeakShape(widths=(8, 8, 12), head=8))}))
    write_stored(build(cell, folder, parts.size, 2).state_dict(), folder.weights(cell))
    judged = bench.judge(cell, parts, folder, Target(device))
    assert judged.ways["1/4"].miou == pytest.approx(frames(0.9).miou)
    assert folder.graphs(cell).camera.read_bytes() != first


def test_clouds_are_measured_here_and_cameras_on_the_device(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cell, parts = RunFolder(tmp_path), Cell(0.05, Design.FEATURES, 0.2, 1), read_parts(data, PLAN)
    folder.make()
    network = WeakNetwork(cell.design, WeakShape(widths=(8, 8, 8), head=8), CloudShape(16, 1, 16, 16), 2, 3)
    camera, cloud = Counting(), Counting()
    monkeypatch.setattr("benchmarks.frontier.costs.CLOUD", Target(cloud))
    found = cost_of(cell, network, parts, folder, Target(camera, "quota 0.25"))
    assert (camera.asked, cloud.asked) == (1, 1)
    assert (found.camera_ms, found.cloud_ms) == (4e3, 1e3), "a quarter of a core takes four times as long"
    digest = sha256(folder.graphs(cell).camera_int8.read_bytes()).hexdigest()
    known = DeviceMeasurement(digest, "m", "quota 0.5", {"p50": 900.0}, None, None, None, processor_s=0.3)
    found = cost_of(cell, network, parts, folder, Target(camera, "quota 0.5", {digest: known}))
    assert camera.asked == 1
    assert found.camera_ms == pytest.approx(600.0), "as if it were measured now"


def test_the_picture_shows_the_best_way_within_the_bits(tmp_path: Path) -> None:
    rows = [
        {"budget_gmac": 0.2, "design": "edge", "camera_gmac": 0.19, "miou": miou, "bits_per_pixel": bits}
        for miou, bits in ((0.5, 0.01), (0.6, 0.04), (0.7, 0.06))
    ]
    result = {"rows": rows, "bits_at_most": 0.05}
    assert best_by_budget(result, "edge") == [(0.19, 0.6)]
    assert draw(result, tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_folder_takes_one_plan_and_may_grow(tmp_path: Path) -> None:
    plan = Plan(budgets_gmac=(0.1, 0.2))
    plan.keep(tmp_path)
    replace(plan, seeds=(2,), budgets_gmac=(0.4,)).keep(tmp_path)
    assert Plan.read(tmp_path).seeds == (1, 2)
    assert Plan.read(tmp_path).budgets_gmac == (0.1, 0.2, 0.4), "what is finished stays in the table"
    with pytest.raises(ConfigError, match="begun with steps 6000, now it is 7"):
        replace(plan, steps=7).keep(tmp_path)
    with pytest.raises(ConfigError, match="train-frontier"):
        Plan.read(tmp_path / "none")


def test_options_of_a_new_run_folder_are_taken_as_they_are_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(*words: str) -> Plan:
        monkeypatch.setattr("sys.argv", ["train", "--run", str(tmp_path), *words])
        return plan_of(parse_options())

    assert plan("--pretrain-steps", "0").pretrain_steps == 0
    for words, said in (
        (("--steps", "0"), "0 steps"),
        (("--pretrain-steps", "-1"), "after -1"),
        (("--seeds", "1", "2", "1"), "stands twice"),
    ):
        with pytest.raises(ConfigError, match=said):
            plan(*words)


@pytest.mark.parametrize("torn", ["", '{"camera": {"wid', '{"camera": {}}', '{"camera": {"width": 3}, "cloud": {}}'])
def test_what_a_killed_process_left_of_a_run_folder_is_named(tmp_path: Path, torn: str) -> None:
    folder, cell = RunFolder(tmp_path), Cell(0.05, Design.EDGE, 0.5, 1)
    folder.make()
    folder.shape(cell).write_text(torn)
    with pytest.raises(RecordError, match=r"0\.05-edge-s1\.json"):
        build(cell, folder, (64, 96), 2)
    (tmp_path / "plan.json").write_text(torn)
    with pytest.raises(RecordError, match=r"plan\.json"):
        Plan.read(tmp_path)


def test_networks_come_by_what_they_say_most_of() -> None:
    names = [cell.name for cell in Plan(budgets_gmac=(0.1, 0.2), seeds=(1, 2)).cells]
    assert names[:3] == ["0.2-edge-s1", "0.2-layered-0.5-s1", "0.2-refined-0.5-s1"]
    assert len(names) == len(set(names)) == 2 * 2 * 6
    assert names.index("0.1-edge-s1") < names.index("0.2-edge-s2")


PLAN = Plan(batch=2, leave_out="b", steps=4, check_share=0.25)


def test_no_network_sees_the_drive_that_it_is_judged_on(data: Path) -> None:
    parts = read_parts(data, PLAN)
    assert [sample.name for sample in parts.judged] == [f"b_{n}" for n in range(8)]
    assert [sample.name for sample in parts.held] == ["a_3", "a_4"]
    assert [sample.name for sample in parts.train] == [f"a_{n}" for n in (0, 1, 2, 5, 6, 7)]
    with pytest.raises(ConfigError, match="no drive c: it has a, b"):
        read_parts(data, replace(PLAN, leave_out="c"))


@pytest.mark.parametrize(("left_out", "seen"), [(None, "b_0"), ("a_*", "b_0"), ("b_[1-7]", "b_0")])
def test_a_teacher_that_has_seen_what_is_judged_is_refused(
    left_out: str | None, seen: str, data: Path, tmp_path: Path
) -> None:
    parts, plan = read_parts(data, PLAN), replace(PLAN, teacher=str(tmp_path))
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        setup_of(plan, parts)
    config = TrainingConfig(data, "train", None, leave_out=left_out)
    keep_settings(tmp_path / "config.json", asdict(config), begun=False)
    with pytest.raises(ConfigError, match=f"has seen {seen}, which is judged"):
        setup_of(plan, parts)
    keep_settings(tmp_path / "config.json", asdict(replace(config, leave_out="b_*")), begun=False)
    with pytest.raises(WeightsMismatch, match=r"checkpoint\.pt is missing"):
        setup_of(plan, parts)


@pytest.mark.parametrize("design", Design)
def test_each_design_learns_and_is_judged_by_whole_packets(design: Design, data: Path) -> None:
    parts = read_parts(data, PLAN)
    torch.manual_seed(3)
    shape = WeakShape(widths=(8, 8, 8), head=8, latent_channels=4)
    network = WeakNetwork(design, shape, CloudShape(16, 1, 16, 16), 2, len(PRICES))
    task = mask_task(setup_of(PLAN, parts), PLAN.steps, 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-2)
    losses = []
    for step in (0, 1, 2, 3) * 4:
        optimiser.zero_grad()
        loss = task.loss(network.train(), step)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    found = score(network, parts)
    ways = ["1/2", "1/4", "1/8"] if design is Design.EDGE else ["1/4"] if design is Design.REFINED else LEVELS
    assert list(found) == ways
    for scored in found.values():
        assert len(scored.counts) == len(scored.frame_bytes) == len(parts.judged)
        assert scored.counts.sum() == 8 * 96 * 64
        assert (scored.frame_bytes > PACKET_BYTES + (SECTION_BYTES if design is Design.LAYERED else 0)).all()


@pytest.mark.parametrize("design", [Design.EDGE, Design.REFINED, Design.LAYERED])
def test_who_sends_a_mask_pays_for_it_by_tables_of_training_pictures(
    design: Design, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, counted = read_parts(data, PLAN), list[str]()

    def noted(samples: Sequence[LabelledPicture], most: int) -> Sequence[LabelledPicture]:
        counted.extend(sample.name for sample in samples[:most])
        return samples[:most]

    monkeypatch.setattr("benchmarks.frontier.score.some", noted)
    monkeypatch.setattr(LabelCoder, "bytes_of", lambda *_: 1000)
    shape = WeakShape(widths=(8, 8, 8), head=8, latent_channels=4)
    network = WeakNetwork(design, shape, CloudShape(16, 1, 16, 16), 2, len(PRICES))
    beside = SECTION_BYTES + 1 if design.sends_symbols else 0
    for scored in score(network, parts).values():
        assert (scored.frame_bytes >= PACKET_BYTES + 1000 + beside).all()
    assert counted == [sample.name for sample in parts.train]


def test_the_better_of_a_trainings_checks_is_kept(tmp_path: Path) -> None:
    network, seen = nn.Linear(2, 1), list[torch.Tensor]()

    def score_of(average: nn.Module) -> float:
        seen.append(average.weight.clone())  # type: ignore[operator]
        return -len(seen)

    task = fitting.Task(lambda net, step: net(torch.ones(1, 2)).square().sum(), score_of)
    groups = [{"params": list(network.parameters()), "share": 1.0}]
    found = fitting.fit(network, groups, fitting.Recipe(8, 0.1), task, tmp_path / "a.pt", lambda _: None)
    assert len(seen) == fitting.CHECKS == 2
    assert torch.equal(found.weight, seen[0])  # type: ignore[arg-type]
    assert not torch.equal(seen[0], seen[1])


def test_a_score_that_is_no_number_leaves_no_network_behind(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    task = fitting.Task(lambda net, step: net(torch.ones(1, 2)).square().sum(), lambda _: math.nan)
    groups = [{"params": list(network.parameters()), "share": 1.0}]
    with pytest.raises(TrainingDiverged, match="after 6 steps"):
        fitting.fit(network, groups, fitting.Recipe(8, 0.1), task, tmp_path / "a.pt", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_cameras_own_mask_is_taught_at_every_level_and_by_the_teacher_if_there_is_one(data: Path) -> None:
    parts, levels = read_parts(data, PLAN), set[int]()
    setup = setup_of(PLAN, parts)
    shape = WeakShape(widths=(8, 8, 8), head=8, latent_channels=4)
    network = WeakNetwork(Design.REFINED, shape, CloudShape(16, 1, 16, 16), 2, len(PRICES)).train()
    network.register_forward_pre_hook(lambda _, given: levels.update(given[1].tolist()))
    for step in range(8):
        mask_task(setup, 8, 1).loss(network, step).backward()  # type: ignore[no-untyped-call]
    assert network.camera.head is not None
    assert all(
        each.grad is not None and each.grad.abs().sum() > 0 for each in network.camera.head.classify.parameters()
    )
    assert levels == set(range(len(PRICES)))

    class Dark(Teacher):
        def look(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            sure = torch.tensor([9.0, -9.0])[:, None, None].expand(2, *pictures.shape[-2:])
            return pictures, sure.expand(len(pictures), *sure.shape)

    asked = replace(setup, teacher=Dark(JointNetwork(NetworkShape(2, 4, 3))))
    alone, taught = (mask_task(each, 8, 1).loss(network, 0).item() for each in (setup, asked))
    assert taught > alone + 0.1


def test_views_hang_on_seed_and_step_alone(data: Path) -> None:
    parts = read_parts(data, PLAN)
    setup = setup_of(PLAN, parts)
    one, other = setup.views(1, 7, 10), setup.views(1, 7, 10)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0], setup.views(2, 7, 10)[0])
    assert setup.views(1, 0, 10)[0].shape[-1] < setup.views(1, 9, 10)[0].shape[-1] == parts.size[1]


def test_a_training_that_is_killed_goes_on_from_its_last_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "SAVE_EVERY", 3)

    def run(path: Path, killed_at: float = math.inf) -> tuple[list[int], nn.Module]:
        torch.manual_seed(0)
        seen: list[int] = []

        def loss(network: nn.Module, step: int) -> torch.Tensor:
            if step == killed_at:
                raise KeyboardInterrupt
            seen.append(step)
            found: torch.Tensor = network(torch.full((1, 2), float(step % 3))).square().sum()
            return found

        network = nn.Linear(2, 1)
        groups = [{"params": list(network.parameters()), "share": 1.0}]
        try:
            task = fitting.Task(loss, lambda _: 0.0)
            return seen, fitting.fit(network, groups, fitting.Recipe(10, 0.1), task, path, lambda _: None)
        except KeyboardInterrupt:
            return seen, network

    _, whole = run(tmp_path / "whole.pt")
    run(tmp_path / "killed.pt", killed_at=4)
    seen, resumed = run(tmp_path / "killed.pt")
    assert seen == list(range(3, 10))
    assert torch.equal(whole.weight, resumed.weight)  # type: ignore[arg-type]


def test_advise_reads_the_verdict_at_the_bundles_own_budget(tmp_path: Path) -> None:
    """The demo's encoder has 2.45 GMAC."""
    assert 2.3e9 < count_convolutions(ROOT / "bundles/demo/encoder.int8.onnx") < 2.45e9
    quick = ("advise", "--bundle", str(ROOT / "bundles/demo"), "--pictures", str(ROOT / "samples"), "--frames", "1")
    told = {}
    for budget in ("0.85", "2.45"):
        (tmp_path / "frontier.json").write_text(json.dumps({"margins": {budget: {"send": "features"}}}))
        done = CliRunner().invoke(
            app, [*quick, "--fps", "0.1", "--frontier", str(tmp_path / "frontier.json"), "--json"]
        )
        assert done.exit_code == 0, done.output
        told[budget] = json.loads(done.stdout)["advice"]["reason"]
    assert told == {"0.85": "mask_unbeaten", "2.45": "features_ahead"}


def test_a_cell_takes_the_best_shape_that_was_searched_within_its_budget(tmp_path: Path) -> None:
    def row(gmac: float, width: int, miou: float, resolution: float = 1) -> dict[str, object]:
        shape = {**vars(SEARCHED), "widths": [width, 16, 16]}
        return {"design": "edge", "resolution": resolution, "camera_gmac": gmac, "miou": miou, "shape": shape}

    rows = [row(0.04, 12, 0.3), row(0.05, 16, 0.4), row(0.03, 20, 0.9, 0.5), row(0.06, 24, 0.95)]
    (tmp_path / "front.json").write_text(json.dumps({"rows": rows}))
    folder, cells = RunFolder(tmp_path), Plan(budgets_gmac=(0.05,)).cells[:2]
    folder.make()
    take_found_shapes(tmp_path / "front.json", cells, folder, (64, 96), 2)
    assert build(cells[0], folder, (64, 96), 2).shape.widths == (16, 16, 16)
    assert not folder.shape(cells[1]).is_file(), "nothing of its design was searched"
    with pytest.raises(RecordError, match="missing"):
        take_found_shapes(tmp_path / "none.json", cells, folder, (64, 96), 2)


@pytest.mark.parametrize(
    "change",
    [{"shape": None}, {"shape": {"width": 3}}, {"miou": "much"}, {"camera_gmac": []}, {"design": None, "shape": 1}],
)
def test_a_file_that_is_no_front_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    row = {"design": "edge", "resolution": 1, "camera_gmac": 0.05, "miou": 0.4, "shape": vars(SEARCHED)}
    folder, cells = RunFolder(tmp_path), Plan(budgets_gmac=(0.05,)).cells[:2]
    folder.make()
    for rows in ([row, {**row, **change}], [{"design": "edge"}], 3):
        (tmp_path / "front.json").write_text(json.dumps({"rows": rows}))
        with pytest.raises(RecordError, match="no front"):
            take_found_shapes(tmp_path / "front.json", cells, folder, (64, 96), 2)
    assert list((tmp_path / "shapes").iterdir()) == []


def test_files_of_a_network_are_named_after_it(tmp_path: Path) -> None:
    cell = Plan().cells[1]
    assert RunFolder(tmp_path).graphs(cell).camera_int8 == tmp_path / "graphs/0.2-layered-0.5-s1.camera.int8.onnx"


def test_a_bundle_of_a_network_that_is_not_trained_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    run, cell = RunFolder(tmp_path / "run"), Cell(0.05, Design.FEATURES, 0.2, 1)
    PLAN.keep(run.root)
    with pytest.raises(ConfigError, match=r'no 0.05-features-0.2-s1 yet: make train-frontier ARGS="--only'):
        ship("mcu", cell, data, run, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_ships_whole_or_leaves_the_one_that_stands(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, cell, folder = RunFolder(tmp_path / "run"), Cell(0.05, Design.FEATURES, 0.2, 1), tmp_path / "mcu"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/decoder.int8.json").touch()  # of the bundle before, whose twin is not shipped
    folder.symlink_to(tmp_path / "elsewhere")
    PLAN.keep(run.root)
    run.make()
    shapes = {"camera": asdict(WeakShape(widths=(8, 8, 8), head=8)), "cloud": asdict(CloudShape(16, 1, 16, 16))}
    run.shape(cell).write_text(json.dumps(shapes))
    network = build(cell, run, (64, 96), 2)
    torch.save(network.state_dict(), run.weights(cell))  # noqa: TID251
    bundle = ship("mcu", cell, data, run, folder)
    card = (folder / "MODEL_CARD.md").read_text()
    assert bundle.hex_id in card
    assert "On the 8 frames of drive `b`" in card
    assert not bundle.float_encoder_path.exists()
    assert bundle.int8_decoder is None
    assert folder.is_symlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "decoder.int8.json" not in before
    monkeypatch.setattr("benchmarks.frontier.ship.MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match="1,000 are the most that ships"):
        ship("mcu", cell, data, run, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_search_that_finds_none_fast_enough_says_so_by_name() -> None:
    with pytest.raises(ConfigError, match=r"search by zico, of 16 networks: none is as fast .* look at more"):
        likes_best([], "zico, of 16 networks")
