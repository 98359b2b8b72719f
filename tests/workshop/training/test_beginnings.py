"""A training that goes on from what another run came to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from narrows.contract.errors import WeightsMismatch
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.training.beginnings import go_on_from, network_in
from narrows.models.training.loop import train
from narrows.models.training.model_card import MODEL_CARD
from narrows.models.training.origin import Origin
from tests.workshop.training.conftest import four_pictures
from tests.workshop.training.small_run import config

NO_PICTURES = torch.zeros(0, 3, 48, 64)
CLASSES = ("dark", "bright")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch."""
    folder = tmp_path_factory.mktemp("beginnings")
    train(config(four_pictures(folder / "data"), 1), folder / "run", lambda _: None)
    return folder / "run"


def fresh(run: Path, classes: int = 2) -> JointNetwork:
    torch.manual_seed(7)
    return JointNetwork(replace(network_in(run, NO_PICTURES).shape, classes=classes))


def test_a_network_begins_as_the_runs_average(run: Path) -> None:
    network = fresh(run)
    go_on_from(network, run, NO_PICTURES, CLASSES)
    wanted = network_in(run, NO_PICTURES).state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("classes", [("bright", "dark"), ("dark", "bright", "grey")])
def test_for_other_classes_the_classifier_alone_begins_anew(classes: tuple[str, ...], run: Path) -> None:
    network = fresh(run, len(classes))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    go_on_from(network, run, NO_PICTURES, classes)
    wanted = network_in(run, NO_PICTURES).state_dict()
    for name, tensor in network.state_dict().items():
        source = before if name.startswith("decoder.classify.") else wanted
        assert torch.equal(tensor, source[name]), name


@pytest.mark.parametrize("change", [{"latent_channels": 7}, {"levels": 3}])
def test_a_run_of_another_network_is_no_place_to_begin(change: dict[str, int], run: Path) -> None:
    shape = replace(network_in(run, NO_PICTURES).shape, **change)  # type: ignore[arg-type]  # of two fields
    network = JointNetwork(shape)
    with pytest.raises(WeightsMismatch, match="name another --begin-from"):
        go_on_from(network, run, NO_PICTURES, CLASSES)


def test_a_folder_without_a_training_is_no_place_to_begin(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="is missing"):
        go_on_from(JointNetwork(NetworkShape(2)), tmp_path, NO_PICTURES, CLASSES)


def test_a_run_says_which_run_it_began_from(run: Path, tmp_path: Path) -> None:
    later = replace(config(four_pictures(tmp_path / "data"), 1), begin_from=run)
    train(later, tmp_path / "run", lambda _: None)
    assert Origin.read(tmp_path / "run").begun_from == "run run, 1 epochs"
    assert "| began from | run run, 1 epochs |" in (tmp_path / "run" / MODEL_CARD).read_text()
    assert json.loads((tmp_path / "run" / "progress.jsonl").read_text().splitlines()[0])["epoch"] == 1
