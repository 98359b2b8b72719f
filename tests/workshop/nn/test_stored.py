"""Weights on disk: a file that is damaged, missing or of something else is named, whichever command reads it."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from narrows.contract.errors import WeightsMismatch
from narrows.models.heads.train import _resume as resume_head
from narrows.models.nn.efficientnet_lite import EfficientNetLite0
from narrows.models.nn.espnetv2 import ESPNetV2
from narrows.models.nn.promptable import STUDENT, PromptableNetwork
from narrows.models.nn.stored import Stored, read_stored
from narrows.models.promptable.run import load_trained
from narrows.models.training import fitting
from narrows.models.training.run import CHECKPOINT, load_checkpoint


@dataclass(frozen=True)
class Shape:
    classes: int
    widths: tuple[int, ...] = ()


def written(path: Path, *, zipped: bool = True) -> Path:
    state = {"shape": {"classes": 2, "widths": [1, 2]}, "average": nn.Linear(3, 2).state_dict(), "epoch": 3}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)  # noqa: TID251
    return path


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    stored = read_stored(written(tmp_path / "a.pt"), "training", {"average", "epoch"})
    network = nn.Linear(3, 2)
    stored.fill(network, "average")
    assert torch.equal(network.weight, stored.values["average"]["weight"])
    assert stored.rebuilt(Shape, "shape") == Shape(2, (1, 2))


def _damage(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    else:
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


@pytest.mark.filterwarnings("ignore")  # torch warns of names in damaged files, to nobody's use
@given(seed=st.integers(0, 2**32), form=st.sampled_from(["zipped", "legacy"]))
def test_a_damaged_file_ends_in_no_other_error_whatever_torch_raises(
    seed: int, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("damaged") / "a.pt", zipped=form == "zipped")
    _damage(path, random.Random(seed))
    with suppress(WeightsMismatch):  # a byte of padding, or of a weight, is missed by nobody
        stored = read_stored(path, "training", {"shape", "average"})
        stored.rebuilt(Shape, "shape")
        stored.fill(nn.Linear(3, 2), "average")


def _head(path: Path) -> object:
    head = nn.Linear(2, 2)
    return resume_head(path, head, torch.optim.AdamW(head.parameters()), print)  # type: ignore[arg-type]


def _fitted(path: Path) -> object:
    task = fitting.Task(lambda network, step: torch.zeros((), requires_grad=True), lambda network: 0.0)
    network = nn.Linear(2, 2)
    return fitting.fit(network, fitting.groups_of(network), fitting.Recipe(1, 0.1), task, path, print)


READERS: dict[str, Callable[[Path], object]] = {
    "a run of narrows train": load_checkpoint,
    "a run of narrows promptable train": lambda path: load_trained(path.parent),
    "a training of a head": _head,
    "a training that is compared": _fitted,
    "ImageNet weights": lambda path: EfficientNetLite0().load_imagenet(path),
    "ImageNet weights for prompts": lambda path: PromptableNetwork(STUDENT).load_imagenet(path),
    "ESPNetv2": ESPNetV2.load,
}


@pytest.mark.parametrize("damage", [b"", b"no weights at all", b"PK\x03\x04"])
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_a_file_that_holds_none(reader: str, damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    path.write_bytes(damage)
    with pytest.raises(WeightsMismatch, match=r"checkpoint\.pt is damaged, or no"):
        READERS[reader](path)
    torch.save([1, 2], path)  # noqa: TID251
    with pytest.raises(WeightsMismatch, match=r"checkpoint\.pt is no "):
        READERS[reader](path)
    torch.save({"shape": {"classes": 2}, "average": {}, "weight": torch.zeros(1)}, path)  # noqa: TID251
    with pytest.raises(WeightsMismatch, match=r"checkpoint\.pt"):
        READERS[reader](path)


def test_a_folder_in_a_files_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="cannot be read: Is a directory"):
        read_stored(tmp_path, "training")


@pytest.mark.parametrize("state", [{"weight": torch.zeros(5)}, {"weight": 3}, 7, {"param_groups": []}])
def test_a_state_of_something_else_fits_nothing(state: object, tmp_path: Path) -> None:
    stored = Stored(tmp_path / "a.pt", "training", "name another", {"state": state, "shape": state})
    network = nn.Linear(3, 2)
    told = r"a\.pt does not fit this \w+: .*; wanted is a training: name another"
    for part in (network, torch.optim.AdamW(network.parameters())):
        with pytest.raises(WeightsMismatch, match=told):
            stored.fill(part, "state")
    with pytest.raises(WeightsMismatch, match="'shape' that is no Shape"):
        stored.rebuilt(Shape, "shape")
