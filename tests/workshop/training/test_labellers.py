"""Labellers of other classes than the data's."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from narrows.contract.errors import DatasetError, WeightsMismatch
from narrows.models.dataset import ClassList
from narrows.models.dataset.cityscapes import CLASS_LIST
from narrows.models.nn.espnetv2 import CITYSCAPES_CHANNELS
from narrows.models.training.labellers import cityscapes_labeller, labeller_of_run, merged
from narrows.models.training.loop import train
from narrows.models.training.pseudo_labels import pseudo_labels
from tests.workshop.training.small_run import config

PICTURE = np.zeros((48, 64, 3), np.uint8)
OURS = ClassList(("ground", "thing"), 2, (64, 48), ((0, 0, 0), (9, 9, 9)))
THEIRS = ("road", "pavement", "car", "sky")


def said(folder: Path, names: object) -> Path:
    path = folder / "as_classes.json"
    path.write_text(json.dumps(names))
    return path


def test_classes_that_are_one_are_counted_together_and_those_that_are_none_are_not(tmp_path: Path) -> None:
    answers = torch.tensor([[0.3, 0.3, 0.4, 0.0], [0.1, 0.0, 0.2, 0.7]]).T[:, None]
    names = said(tmp_path, {"road": "ground", "pavement": "ground", "car": "thing"})
    labeller = merged(lambda _: answers, THEIRS, names, OURS)
    assert torch.allclose(labeller(PICTURE), torch.tensor([[[0.6, 0.1]], [[0.4, 0.2]]]))
    assert pseudo_labels(labeller, PICTURE, 0.5, OURS).tolist() == [[0, 2]]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"lawn": "ground"}, "names 'lawn', which is no class there: road, pavement, car, sky"),
        ({"road": "floor"}, "names 'floor', which is no class there: ground, thing"),
        (["road"], "is no JSON object of names"),
    ],
)
def test_names_that_are_no_classes_are_named(names: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=told):
        merged(lambda _: torch.zeros(4, 1, 1), THEIRS, said(tmp_path, names), OURS)


def test_a_published_network_labels_the_classes_that_are_wanted(tmp_path: Path) -> None:
    logits = torch.zeros(1, CITYSCAPES_CHANNELS, 24, 32)
    logits[:, CLASS_LIST.names.index("truck")] = 9
    logits[:, len(CLASS_LIST.names) :] = 12  # what it calls none of the classes
    names = said(tmp_path, {"car": "thing", "truck": "thing", "road": "ground"})
    labeller = cityscapes_labeller(lambda _: logits, OURS, names)  # type: ignore[arg-type]  # answers as the network does
    assert set(np.unique(pseudo_labels(labeller, PICTURE, 0.9, OURS))) == {1}
    assert pseudo_labels(labeller, PICTURE, 0.9, OURS).shape == (48, 64)


def test_a_published_networks_classes_are_those_that_are_wanted_in_their_order() -> None:
    listed = ClassList.read(Path(__file__).parents[3] / "benchmarks/outputs/cityscapes/classes.json")
    cityscapes_labeller(SimpleNamespace(), listed)  # type: ignore[arg-type]  # is not asked
    for names in (listed.names[::-1], listed.names[1:]):
        with pytest.raises(WeightsMismatch, match="say by --as-classes which are which"):
            cityscapes_labeller(SimpleNamespace(), replace(listed, names=names))  # type: ignore[arg-type]  # nor here


def test_a_run_for_other_classes_labels_where_they_are_named(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(data, 1), run, lambda _: None)
    with pytest.raises(WeightsMismatch, match="run segments 2 classes, dark, bright"):
        labeller_of_run(run, OURS, data)
    both = said(tmp_path, {"dark": "ground", "bright": "ground"})
    assert set(np.unique(pseudo_labels(labeller_of_run(run, OURS, data, both), PICTURE, 0.9, OURS))) == {0}


def test_a_run_that_does_not_say_what_it_knows_is_refused(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(data, 1), run, lambda _: None)
    held = json.loads((run / "config.json").read_text())
    del held["classes"]
    (run / "config.json").write_text(json.dumps(held))
    with pytest.raises(WeightsMismatch, match="does not say which classes it knows"):
        labeller_of_run(run, OURS, data, said(tmp_path, {"dark": "ground"}))
