"""A run's folder while it runs: blocks that are checked, records that survive a kill, a page to look at."""

import json
import re
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch

from narrows.models.dataset import FolderDataset
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.training.augment import normalise
from narrows.models.training.check import block_names, check, split_off
from narrows.models.training.config import TrainingConfig, TrainingPhase
from narrows.models.training.loop import train
from narrows.models.training.progress import append_record, read_records, seconds_left
from narrows.models.training.run import load_checkpoint
from narrows.models.training.run_page import write_run_page
from tests.workshop.training.small_run import config, progress


def plan(*phases: tuple[int, tuple[int, int]]) -> TrainingConfig:
    return TrainingConfig(
        data=Path("data"),
        split="train",
        pretrained=None,
        phases=tuple(TrainingPhase(epochs, size, (1.0, 1.2)) for epochs, size in phases),
    )


def show(config: TrainingConfig, folder: Path) -> None:
    write_run_page(folder, config.epochs, partial(seconds_left, config), asdict(config))


def test_each_drive_gives_a_block_of_neighbours_from_its_middle() -> None:
    names = [f"{drive}_{frame:03}" for drive in "ab" for frame in range(20)]
    assert block_names(names, 0.2) == tuple(f"{drive}_{frame:03}" for drive in "ab" for frame in range(8, 12))


def test_neighbours_are_those_by_number_where_numbers_are_not_padded() -> None:
    names = [f"a_f{frame}" for frame in range(1, 21)]
    assert block_names(names, 0.25) == tuple(f"a_f{frame}" for frame in range(8, 13))


def test_names_that_tell_no_drive_are_one() -> None:
    assert block_names([f"{number:012}" for number in range(10)], 0.2) == ("000000000004", "000000000005")


def test_no_share_checks_nothing() -> None:
    assert block_names(["a_1", "a_2"], 0) == ()


def test_what_is_checked_is_not_trained_on(data: Path) -> None:
    trained, checked = split_off(FolderDataset.open(data, "train"), 0.25)
    assert [sample.name for sample in trained] == ["s0", "s2", "s3"]
    assert [sample.name for sample in checked] == ["s1"]


def test_the_miou_of_what_is_shipped_is_written_down(data: Path, tmp_path: Path) -> None:
    checkpoint = train(replace(config(data, 2), check_share=0.25), tmp_path / "run", lambda _: None)
    dataset = FolderDataset.open(data, "train")
    shipped = check(load_checkpoint(checkpoint), [dataset.read("s1")], dataset.classes, [0, 1])
    last = progress(tmp_path / "run")[-1]
    assert (last["miou0"], last["miou1"]) == pytest.approx((shipped[0].miou, shipped[1].miou), abs=1e-4)
    assert last["checked_bpp0"] == pytest.approx(shipped[0].bits_per_pixel, abs=1e-4)


def test_a_check_counts_masks_and_bits_as_training_does(data: Path) -> None:
    torch.manual_seed(0)
    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=2)).eval()
    dataset = FolderDataset.open(data, "train")
    samples = [dataset.read(name) for name in ("s0", "s1")]
    matrix, bits = ConfusionMatrix(2, 2), 0.0
    for sample in samples:
        picture = torch.from_numpy(normalise(sample.picture))[None]
        with torch.no_grad():
            outcome = network(picture, torch.tensor([1]), rounded_rate=True)
        matrix.update(sample.labels, outcome.logits[0].argmax(0).to(torch.uint8).numpy())
        bits += float(outcome.bits)
    found = check(network, samples, dataset.classes, [0, 1])[1]
    assert (found.miou, found.bits_per_pixel) == pytest.approx((matrix.miou, bits / (2 * 48 * 64)), rel=1e-4)


def test_levels_are_drawn_as_often_as_they_were_asked_for(data: Path, tmp_path: Path) -> None:
    train(replace(config(data, 1), level_shares=(0.0, 1.0)), tmp_path / "run", lambda _: None)
    (record,) = progress(tmp_path / "run")
    assert record["bpp0"] == 0 < record["bpp1"]
    assert TrainingConfig.read(tmp_path / "run" / "config.json").level_shares == (0.0, 1.0)


def test_an_epoch_costs_what_its_pixels_cost() -> None:
    records = [{"epoch": 1, "seconds": 10.0}, {"epoch": 2, "seconds": 20.0}]
    assert seconds_left(plan((4, (32, 32)), (3, (64, 64))), records) == pytest.approx(2 * 15 + 3 * 60)


def test_before_the_first_epoch_there_is_nothing_to_tell() -> None:
    with pytest.raises(ValueError, match="no epoch"):
        seconds_left(plan((1, (8, 8))), [])


def test_a_line_torn_by_a_kill_costs_its_epoch_alone(tmp_path: Path) -> None:
    append_record(tmp_path, {"epoch": 1, "loss": 3.0})
    with (tmp_path / "progress.jsonl").open("a") as log:
        log.write('{"epoch": 2, "lo')
    append_record(tmp_path, {"epoch": 2, "loss": 2.0})
    append_record(tmp_path, {"epoch": 2, "loss": 1.0})
    assert read_records(tmp_path) == [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 1.0}]


def test_the_page_shows_loss_miou_and_bits_while_the_run_goes_on(tmp_path: Path) -> None:
    going = plan((4, (32, 32)))
    for epoch in (1, 2):
        append_record(tmp_path, {"epoch": epoch, "seconds": 60, "loss": 2, "task": 1, "bpp0": 0.1, "miou0": 0.5})
    show(going, tmp_path)
    page = (tmp_path / "training.html").read_text()
    assert "Epoch 2 of 4, about 2 min left" in page
    assert 'http-equiv="refresh"' in page
    charts = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    titles = {
        "".join(node.itertext()).strip() for chart in charts for node in chart.iter() if node.tag.endswith("text")
    }
    assert {"Loss", "mIoU", "Bits", "level 0", "task"} <= titles
    assert not re.search(r"(src|href)=\"?https?:", page)


def test_the_page_of_a_finished_run_says_so_and_rests(tmp_path: Path) -> None:
    append_record(tmp_path, {"epoch": 1, "seconds": 60, "loss": 2, "task": 1, "bpp0": 0.1})
    show(plan((1, (32, 32))), tmp_path)
    page = (tmp_path / "training.html").read_text()
    assert "finished" in page
    assert "refresh" not in page
    assert ">mIoU<" not in page


def test_a_run_leaves_its_page_and_names_what_it_has_not_seen(data: Path, tmp_path: Path) -> None:
    train(replace(config(data, 1), leave_out="s0"), tmp_path / "run", lambda _: None)
    page = (tmp_path / "run" / "training.html").read_text()
    assert "<td>leave_out</td><td>s0</td>" in page
    assert json.loads((tmp_path / "run" / "progress.jsonl").read_text())["epoch"] == 1
