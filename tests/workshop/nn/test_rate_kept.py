"""What a rate table keeps: of which pictures and encoder it is, what a kill leaves, and what is no result."""

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.rate import __main__ as bench
from benchmarks.rate import frames as sending
from benchmarks.rate import train
from benchmarks.rate.assemble import check_trained
from benchmarks.rate.codecs import STILLS
from benchmarks.rate.contenders import CONTENDERS
from benchmarks.rate.frames import send
from benchmarks.rate.plan import Plan, RunFolder
from benchmarks.rate.resnet import NAMES as RESNET_GRAPHS
from benchmarks.rate.score import Judge, Scores
from benchmarks.rate.video import VIDEOS
from benchmarks.rate.views import Parts, make_views
from benchmarks.record import read_result, write_result
from narrows.contract.codec import count_tables, remember
from narrows.contract.codec.counting import Moments
from narrows.contract.errors import ConfigError, FileUnwritable
from narrows.models.dataset import LabelledPicture
from narrows.models.export import graphs
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.training.run_folder import locked
from tests.workshop.nn.rate_setup import CLASSES, LABELS, PLAN, setup

FRAMES = tuple(LabelledPicture(f"b{n}", np.full((32, 32, 3), 90 * n, np.uint8), LABELS) for n in range(2))
OTHERS = [
    (replace(FRAMES[0], name="c"), FRAMES[1]),
    (replace(FRAMES[0], picture=FRAMES[1].picture), FRAMES[1]),
    (replace(FRAMES[0], labels=LABELS + 1), FRAMES[1]),
    FRAMES[::-1],
]
"""As many as :data:`FRAMES`."""


@pytest.mark.parametrize("others", OTHERS)
def test_what_is_kept_of_some_pictures_is_not_taken_for_that_of_others(
    others: tuple[LabelledPicture, ...], tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.make()
    (tmp_path / "checkpoint.pt").write_bytes(b"an encoder")
    folder.graph("joint").write_bytes(b"a head")
    torch.manual_seed(1)
    network = JointNetwork(NetworkShape(2, 4, 2)).eval()
    computed: list[Sequence[LabelledPicture]] = []

    def score(frames: Sequence[LabelledPicture]) -> Scores:
        def compute() -> Scores:
            computed.append(frames)
            return []

        return Judge(folder, frames, CLASSES).kept("joint", "", compute)

    said: list[str] = []
    for frames in (FRAMES, FRAMES, others):
        score(frames)
        parts = Parts(frames, frames)
        make_views(network, parts, (32, 32), PLAN, folder.views, tmp_path / "checkpoint.pt", said.append)
    assert computed == [FRAMES, others]
    assert said.count("views: cached") == 1


def test_two_processes_do_not_write_the_views_of_a_run_at_once(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"an encoder")
    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=2))
    with locked(tmp_path / "views"), pytest.raises(ConfigError, match="another process"):
        make_views(
            network, Parts((), ()), (32, 32), PLAN, tmp_path / "views", tmp_path / "checkpoint.pt", lambda _: None
        )


def test_frames_are_sent_anew_when_they_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def latents_of(_graph: Path, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.stack([np.full((4, 2, 2), picture[0, 0, 0] / 90, np.float32) for picture in pictures])

    monkeypatch.setattr(sending, "latents_of", latents_of)
    monkeypatch.setattr(sending, "read_gains", lambda _graph: np.ones((1, 4), np.float32))
    folder = RunFolder(tmp_path)
    folder.make()
    folder.graph("encoder").write_bytes(b"an encoder")
    planes = np.random.default_rng(4).integers(-3, 4, (2, 4, 2, 2)).astype(np.int8)
    memories = np.stack([remember(plane) for plane in planes])
    folder.tables("encoder").write_bytes(count_tables([planes], [Moments(planes, memories)]).to_bytes())
    before, again, others = (send(folder, "encoder", "end_to_end", each) for each in (FRAMES, FRAMES, FRAMES[::-1]))
    assert [int(plane.max()) for plane in before.symbols[0]] == [0, 1]
    assert np.array_equal(before.symbols, again.symbols)
    assert np.array_equal(before.symbols[:, ::-1], others.symbols)


def test_what_a_kill_left_out_of_resnets_graphs_is_made_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    for name in ("write_encoder", "write_head", "write_picture_graph"):
        monkeypatch.setattr(train, name, lambda *_: None)
    monkeypatch.setattr(train, "write_resnet_graphs", lambda *_: written.append("resnet"))
    monkeypatch.setattr(train.ComparisonTraining, "_count", lambda *_: None)
    folder = RunFolder(tmp_path)
    folder.make()
    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=2))
    training = train.ComparisonTraining(network, Parts((), ()), setup(2), PLAN, folder)
    for name in RESNET_GRAPHS:
        written.clear()
        training.export_what_is_given()
        assert written == ["resnet"], f"before {name}"
        folder.graph(name).touch()
    written.clear()
    training.export_what_is_given()
    assert not written


def test_a_graph_that_is_killed_on_the_way_is_not_taken_for_a_finished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_model: onnx.ModelProto) -> onnx.ModelProto:
        raise KeyboardInterrupt

    network = JointNetwork(NetworkShape(classes=2, latent_channels=4, levels=2)).eval()
    monkeypatch.setattr(graphs, "faster_decoder", killed)
    with pytest.raises(KeyboardInterrupt):
        graphs.write_decoder(network, (32, 48), (4, 2, 3), tmp_path / "head.onnx")
    assert not list(tmp_path.iterdir())


def test_a_table_that_is_half_trained_says_what_is_missing(tmp_path: Path) -> None:
    folder, plan = RunFolder(tmp_path), replace(PLAN, seeds=(1,))
    folder.make()
    cameras = ("encoder", "joint_together_encoder", "separate_together_encoder")
    heads = [f"{each.name}-1" for each in CONTENDERS]
    tuned = [f"{codec.name}-q{quality}" for codec in (*STILLS, *VIDEOS) for quality in codec.qualities]
    networks = ["end_to_end", "mask_at_edge", "joint_together", "separate_together", *RESNET_GRAPHS]
    paths = [*map(folder.graph, [*cameras, *heads, *tuned, *networks]), *map(folder.tables, cameras)]
    for path in paths:
        path.touch()
    check_trained(folder, plan)
    for path in paths:
        path.unlink()
        with pytest.raises(ConfigError, match=f"and no {path.stem}: `make train-rate-table` goes on"):
            check_trained(folder, plan)
        path.touch()


def test_figures_of_a_quick_plan_are_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(bench, "draw", lambda _rows, path: path)
    result = {"data": {"name": "camvid", "split": "val", "frames": 4}, "methods": {}}
    bench.publish(result, Plan.quick())
    assert not list(tmp_path.iterdir())
    bench.publish(result, Plan())
    assert read_result("rate")["command"] == "make bench-rate  # camvid, split val, 4 frames"


def test_a_result_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    write_result("rate", "make bench-rate", {"miou": 0.7})

    def torn(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(FileUnwritable):
        write_result("rate", "make bench-rate", {"miou": 0.1})
    assert read_result("rate")["miou"] == 0.7
