"""A training goes on where it was killed, sees no picture of its fold, learns, and asks its teacher once."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from narrows.contract.errors import ConfigError, DatasetError, WeightsMismatch
from narrows.models.nn.promptable import STUDENT, TEACHER, PromptableNetwork, PromptableShape
from narrows.models.promptable.config import PromptableConfig, Source
from narrows.models.promptable.data import Layout, in_fold, open_instances
from narrows.models.promptable.loss import edges, mask_loss, soft_jaccard
from narrows.models.promptable.run import PromptableRun, load_trained
from narrows.models.promptable.taught import TaughtMasks
from narrows.models.promptable.train import tensors_of, train_promptable
from narrows.models.promptable.views import View, draw_view, mask_in
from narrows.models.training.progress import read_records
from narrows.models.training.run_page import PAGE
from narrows.runtime.prompting import Window
from narrows.runtime.prompting.inputs import encode_input
from tests.unit.promptable.things import disc, picture_of, rectangle

SMALL = PromptableShape(size=32, stages=5, bottom=16, joins=(16, 16, 8, 8), full=4)


def test_the_students_size_is_within_what_a_sensor_has() -> None:
    assert sum(each.numel() for each in PromptableNetwork(STUDENT).parameters()) <= 1_300_000


@pytest.mark.parametrize("shape", [STUDENT, TEACHER, SMALL])
def test_logits_cover_the_crop(shape: PromptableShape) -> None:
    with torch.no_grad():
        logits = PromptableNetwork(shape).eval()(torch.zeros(1, 6, shape.size, shape.size))
    assert logits.shape == (1, 1, shape.size, shape.size)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    torch.save({"conv": torch.zeros(8, 3, 5, 5)}, tmp_path / "other.pth")  # noqa: TID251
    with pytest.raises(WeightsMismatch, match=r"other.pth does not hold EfficientNet-Lite0 weights"):
        PromptableNetwork(SMALL).load_imagenet(tmp_path / "other.pth")


def test_imagenet_weights_fill_the_way_down(tmp_path: Path) -> None:
    network = PromptableNetwork(SMALL)
    trunk = {**network.stem.state_dict(), **network.stages.state_dict(prefix="stages.")}
    given = {name: torch.full_like(value, 2) for name, value in trunk.items()}
    given["0.weight"] = torch.full((32, 3, 3, 3), 2.0)
    torch.save(given, tmp_path / "lite0.pth")  # noqa: TID251
    network.load_imagenet(tmp_path / "lite0.pth")
    first = network.stem.state_dict()["0.weight"]
    assert (first[:, :3] == 2).all()
    assert first[:, 3:].abs().max() < 0.1  # the prompt's channels begin small
    assert all((each == 2).all() for each in network.stages.parameters())


def test_a_run_that_is_killed_goes_on_and_ends_where_it_would_have(config: PromptableConfig, tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train_promptable(config, straight, lambda _: None)
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from narrows.models.promptable.config import PromptableConfig, Source\n"
        "from narrows.models.promptable.train import train_promptable\n"
        f"source = Source.parse('masks:{config.sources[0].root}:one')\n"
        "config = PromptableConfig((source,), fold=0, epochs=2, views=16, batch=8, warmup_steps=2, bfloat16=False)\n"
        "say = lambda line: os.kill(os.getpid(), signal.SIGKILL) if line.startswith('epoch 1') else None\n"
        f"train_promptable(config, Path({str(broken)!r}), say)\n"
    )
    root = str(Path(__file__).parents[3])
    ended = subprocess.run([sys.executable, "-c", program], check=False, env=os.environ | {"PYTHONPATH": root})
    assert ended.returncode == -signal.SIGKILL
    assert load_trained(broken).epochs == 1
    said: list[str] = []
    train_promptable(config, broken, said.append)
    assert said[0] == f"resuming {broken} after epoch 1"
    ends = [load_trained(run).network.state_dict() for run in (straight, broken)]
    assert all(torch.equal(one, other) for one, other in zip(ends[0].values(), ends[1].values(), strict=True))


def test_a_run_leaves_records_a_page_and_its_settings(trained_run: Path) -> None:
    records = read_records(trained_run)
    assert [record["epoch"] for record in records] == [1, 2]
    assert {"loss", "iou", "seconds"} <= records[0].keys()
    assert json.loads((trained_run / "config.json").read_text())["fold"] == 0
    page = (trained_run / PAGE).read_text()
    assert "Epoch 2 of 2, finished" in page
    assert page.count("<svg") == 2


def test_no_picture_of_the_fold_is_ever_seen(
    config: PromptableConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()

    def recording(picture, *rest, **options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202
        seen.add(picture.name)
        return draw_view(picture, *rest, **options)

    monkeypatch.setattr("narrows.models.promptable.train.draw_view", recording)
    train_promptable(replace(config, epochs=1, views=64), tmp_path, lambda _: None)
    source = config.sources[0]
    names = open_instances(source.root, Layout.MASKS, "one").names
    assert seen == set(names) - set(in_fold(names, 0))


def test_a_folder_of_another_fold_is_refused(config: PromptableConfig, trained_run: Path) -> None:
    with pytest.raises(ConfigError, match="was begun with fold 0, now 1"):
        train_promptable(replace(config, fold=1), trained_run, lambda _: None)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="give a checkpoint of `narrows promptable train`"):
        load_trained(tmp_path)


def test_a_small_network_learns_discs(discs: Source) -> None:
    torch.manual_seed(0)
    network = PromptableNetwork(SMALL)
    run = PromptableRun.begin(network, PromptableConfig((discs,), learning_rate=1e-2))
    dataset, chance = open_instances(discs.root, discs.layout, discs.split), np.random.default_rng(0)
    pictures = [dataset.read(name) for name in dataset.names]
    losses = []
    for _ in range(40):
        views = [draw_view(picture, picture.instances[0], 32, chance) for picture in pictures]
        inputs, target = tensors_of(views)
        loss = mask_loss(run.network(inputs), target)
        for group in run.optimiser.param_groups:
            group["lr"] = group["peak"]
        run.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        run.optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_a_views_target_lies_where_its_picture_shows_the_thing(discs: Source) -> None:
    dataset, chance = open_instances(discs.root, discs.layout, discs.split), np.random.default_rng(1)
    for name in dataset.names * 3:
        picture = dataset.read(name)
        view = draw_view(picture, picture.instances[0], 96, chance)
        thing, other = view.target > 200, view.target < 50
        assert thing.any()
        if other.any():
            assert view.inputs[0][thing].mean() > view.inputs[0][other].mean() + 40


def test_the_loss_counts_edges_more_and_overlap_by_thing() -> None:
    target = torch.zeros(1, 1, 32, 32)
    target[..., 8:24, 8:24] = 1
    assert edges(target)[0, 0, 16, 8] == 1
    assert edges(target)[0, 0, 16, 16] == 0
    right = (target - 0.5) * 20
    wrong_inside, wrong_edge = right.clone(), right.clone()
    wrong_inside[..., 15:17, 15:17] *= -1
    wrong_edge[..., 15:17, 8:10] *= -1
    assert mask_loss(right, target) < 0.01
    assert mask_loss(wrong_edge, target) > mask_loss(wrong_inside, target) > mask_loss(right, target)
    assert soft_jaccard(target, target) == 0
    assert soft_jaccard(1 - target, target) > 0.99


def test_a_teacher_pulls_the_aim_towards_what_it_says() -> None:
    target = torch.zeros(1, 1, 16, 16)
    told = torch.full_like(target, 0.9)
    logits = torch.full_like(target, -4)
    assert mask_loss(logits, target, told) > mask_loss(logits, target) + 1
    assert mask_loss(logits, target, told, 0.0) == mask_loss(logits, target)


class _Bright(torch.nn.Module):
    """A teacher that knows white things on black."""

    shape = STUDENT

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[torch.Tensor] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.asked.append(inputs)
        return inputs[:, :1] * 20


def test_a_teacher_is_asked_once_a_scale_and_its_answer_follows_the_view(discs: Source, tmp_path: Path) -> None:
    teacher = _Bright()
    taught = TaughtMasks(teacher, tmp_path / "taught-1.npz")  # type: ignore[arg-type]
    dataset, chance = open_instances(discs.root, discs.layout, discs.split), np.random.default_rng(2)
    picture = dataset.read(dataset.names[0])
    thing = (picture, picture.instances[0])
    views = [draw_view(*thing, 96, chance) for _ in range(12)]
    told = taught.tensors([thing] * 12, views)
    assert len(teacher.asked) == 2
    assert not torch.equal(*teacher.asked)
    for view, said in zip(views, told, strict=True):
        agreed = (said[0].numpy() > 0.5) == (view.target > 127)
        assert agreed.mean() > 0.97


def test_what_a_teacher_said_is_kept_beside_its_checkpoint(trained_run: Path, discs: Source) -> None:
    taught = TaughtMasks.open(trained_run)
    dataset = open_instances(discs.root, discs.layout, discs.split)
    picture = dataset.read(dataset.names[0])
    view = draw_view(picture, picture.instances[0], 96, np.random.default_rng(0))
    first = taught.tensors([(picture, picture.instances[0])], [view])
    taught.save()
    again = TaughtMasks.open(trained_run)
    assert list(again.maps) == list(taught.maps)
    assert torch.equal(again.tensors([(picture, picture.instances[0])], [view]), first)


def test_a_student_trains_beside_its_teacher(config: PromptableConfig, trained_run: Path, tmp_path: Path) -> None:
    train_promptable(replace(config, epochs=1, teacher=trained_run), tmp_path, lambda _: None)
    assert load_trained(tmp_path).epochs == 1
    assert TaughtMasks.open(trained_run).maps


@pytest.mark.parametrize(
    "text", ["regions:data", "cats:data:train", "regions:data:train:x", "regions:data:train:0", "a:b:c:part"]
)
def test_what_is_no_source_is_refused_with_the_layouts(text: str) -> None:
    with pytest.raises(DatasetError, match=r"is not LAYOUT:DIR:SPLIT\[:WEIGHT\]\[:parts\]; layouts are coco-"):
        Source.parse(text)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("masks:data:all", Source(Layout.MASKS, Path("data"), "all")),
        ("masks:data:all:0.5", Source(Layout.MASKS, Path("data"), "all", 0.5)),
        ("regions:data:train:parts", Source(Layout.REGIONS, Path("data"), "train", parts=True)),
        ("regions:data:train:3:parts", Source(Layout.REGIONS, Path("data"), "train", 3.0, parts=True)),
    ],
)
def test_a_source_says_its_weight_and_whether_its_masks_are_parts(text: str, source: Source) -> None:
    assert Source.parse(text) == source


@pytest.mark.parametrize("parts", [False, True])
def test_one_point_alone_never_means_a_part(discs: Source, monkeypatch: pytest.MonkeyPatch, *, parts: bool) -> None:
    prompts = []

    def recording(picture, prompt, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        prompts.append(prompt)
        return encode_input(picture, prompt, *rest)

    monkeypatch.setattr("narrows.models.promptable.views.encode_input", recording)
    dataset, chance = open_instances(discs.root, discs.layout, discs.split), np.random.default_rng(3)
    picture = dataset.read(dataset.names[0])
    for _ in range(80):
        draw_view(picture, picture.instances[0], 32, chance, parts=parts)
    alone = [prompt for prompt in prompts if prompt.box is None and len(prompt.positives) == 1]
    assert bool(alone) is not parts


def test_a_thing_in_a_window_is_its_mask(discs: Source) -> None:
    dataset = open_instances(discs.root, discs.layout, discs.split)
    picture = dataset.read(dataset.names[0])
    thing, (width, height) = picture.instances[0], picture.size
    crop = mask_in(thing, Window(0, 0, float(width)), width) > 127
    assert np.array_equal(crop[:height], thing.whole(width, height))


def test_fewer_views_than_a_batch_are_refused_for_they_would_be_no_step(
    config: PromptableConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="--views 4 are less than one --batch of 8"):
        train_promptable(replace(config, views=4), tmp_path, lambda _: None)
    assert not list(tmp_path.glob("*.pt"))


def test_a_teacher_takes_no_thing_for_another_of_its_name(tmp_path: Path) -> None:
    teacher = _Bright()
    taught = TaughtMasks(teacher, tmp_path / "taught-1.npz")  # type: ignore[arg-type]
    for mask in (disc(30, 20, 12), rectangle(18, 8, 24, 24)):
        picture = picture_of(mask)
        window = Window.around(picture.instances[0].box, 1.3)
        view = View(np.zeros((6, 96, 96), np.uint8), mask_in(picture.instances[0], window, 96), window, mirrored=False)
        (told,) = taught.tensors([(picture, picture.instances[0])], [view])
        assert ((told[0].numpy() > 0.5) == (view.target > 127)).mean() > 0.97


def test_what_a_teacher_said_is_no_longer_kept_once_it_is_another(
    trained_run: Path, config: PromptableConfig, tmp_path: Path
) -> None:
    """A folder that was trained anew for as many epochs."""
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    taught = TaughtMasks.open(run)
    dataset = open_instances(config.sources[0].root, config.sources[0].layout, config.sources[0].split)
    picture = dataset.read(dataset.names[0])
    thing = (picture, picture.instances[0])
    taught.tensors([thing], [draw_view(*thing, 96, np.random.default_rng(0))])
    taught.save()
    assert TaughtMasks.open(run).maps
    begun = PromptableRun.begin(load_trained(run).network, config)
    begun.load(run / "checkpoint.pt")
    with torch.no_grad():
        next(begun.average.parameters()).add_(1)
    begun.save(run / "checkpoint.pt")
    assert TaughtMasks.open(run).maps == {}


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_what_is_kept_of_a_teacher_and_cannot_be_read_is_asked_anew(
    trained_run: Path, tmp_path: Path, damage: bytes
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    TaughtMasks.open(run).cache.write_bytes(damage)
    assert TaughtMasks.open(run).maps == {}


def test_two_students_of_one_teacher_keep_what_it_said_without_ending_one_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second begins and ends while the first writes."""
    first, second = (TaughtMasks(_Bright(), tmp_path / "taught-1.npz") for _ in range(2))  # type: ignore[arg-type]
    for each in (first, second):
        each.maps["thing"] = np.zeros((96, 96), np.uint8)
    packed, meanwhile = np.savez_compressed, [second.save]

    def interrupted(*given: Any, **values: Any) -> None:
        packed(*given, **values)
        while meanwhile:
            meanwhile.pop()()

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    first.save()
    assert [each.name for each in tmp_path.iterdir()] == ["taught-1.npz"]
