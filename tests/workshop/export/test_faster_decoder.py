"""A decoder that is rewritten for speed answers as before, in graphs of any size, and is still what TensorRT takes."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from narrows.contract.bundle import Bundle
from narrows.contract.errors import BundleError
from narrows.models.dataset import FolderDataset
from narrows.models.export.faster_decoder import faster_decoder
from narrows.models.export.graphs import DecoderGraph, write_decoder
from narrows.models.export.label_grid import whole_labels
from narrows.models.export.labelling import Labelling
from narrows.models.export.optimise import optimise
from narrows.models.export.write import write_bundle
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.runtime.onnx_runtime import InferenceSession
from tests.workshop.export.small_data import made_up

CLASSES, CHANNELS = 3, 6
SIZES = [(64, 96), (61, 94), (40, 52)]
"""Whole multiples of 16; odd, so that nothing divides; of 4, so that logits lie below and right of the picture."""


@pytest.fixture(scope="module")
def network() -> JointNetwork:
    torch.manual_seed(5)
    network = JointNetwork(NetworkShape(classes=CLASSES, latent_channels=CHANNELS, levels=2)).eval()
    for module in network.decoder.modules():  # untrained biases are zero, and would not show where they went
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return network


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def case(request: pytest.FixtureRequest, network: JointNetwork, tmp_path_factory: pytest.TempPathFactory) -> "Case":
    return Case(network, request.param, tmp_path_factory.mktemp("graphs"))


class Case:
    """One exported decoder and what PyTorch answers."""

    def __init__(self, network: JointNetwork, size: tuple[int, int], folder: Path) -> None:
        latent = (CHANNELS, -(-size[0] // 16), -(-size[1] // 16))
        write_decoder(network, size, latent, folder / "decoder.onnx")
        self.model = onnx.load(folder / "decoder.onnx")
        self.size = size
        self.frames = {
            "symbols": np.random.default_rng(1).integers(-3, 4, (3, *latent), dtype=np.int8),
            "level": np.array([[0], [1], [0]], dtype=np.int32),
        }
        with torch.no_grad():
            inputs = (torch.from_numpy(self.frames["symbols"]), torch.from_numpy(self.frames["level"]))
            self.expected: NDArray[np.uint8] = DecoderGraph(network, size)(*inputs).numpy()

    def labels(self, model: onnx.ModelProto) -> NDArray[np.uint8]:
        session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found: NDArray[np.uint8] = session.run(None, self.frames)[0]
        return found


def test_with_every_row_looked_at_it_is_the_network_in_pytorch(case: Case) -> None:
    assert (case.labels(whole_labels(case.model)) != case.expected).mean() < 1e-3  # ties may fall either way


def test_two_rows_share_what_lies_between_them(case: Case) -> None:
    labels = case.labels(case.model)
    assert labels.shape == (3, *case.size)
    assert labels.dtype == np.uint8
    even = case.size[0] // 2 * 2
    assert (labels[:, 0:even:2] == labels[:, 1:even:2]).all()
    either = (
        (labels == case.expected) | (labels == np.roll(case.expected, -1, 1)) | (labels == np.roll(case.expected, 1, 1))
    )
    assert either.mean() > 0.97


def test_pixel_shuffles_move_channels_together(case: Case) -> None:
    kinds = Counter(node.op_type for node in case.model.graph.node)
    assert kinds["DepthToSpace"] == 0
    assert kinds["Resize"] == kinds["ArgMax"] == 1


def test_rewriting_again_changes_nothing(case: Case) -> None:
    assert faster_decoder(case.model).SerializeToString() == case.model.SerializeToString()


def test_uint8_appears_at_the_end_alone(case: Case) -> None:
    last = case.model.graph.node[-1]
    assert (last.op_type, list(last.output)) == ("Cast", ["labels"])
    casts = [node for node in case.model.graph.node if node.op_type == "Cast"]
    assert [node for node in casts if node.attribute[0].i == onnx.TensorProto.UINT8] == [last]


def test_where_sizes_divide_the_resize_has_whole_constant_scales(case: Case) -> None:
    (resize,) = (node for node in case.model.graph.node if node.op_type == "Resize")
    assert (len(resize.input) == 3) is (case.size[0] % 4 == case.size[1] % 4 == 0)


def test_a_graph_that_ends_otherwise_keeps_its_end(case: Case) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    next(node for node in model.graph.node if node.op_type == "ArgMax").op_type = "ArgMin"
    assert faster_decoder(model).SerializeToString() == model.SerializeToString()
    assert whole_labels(model) is model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FolderDataset:
    classes = {"classes": ["a", "b"], "ignore_index": 255, "palette": [[0, 0, 0]] * 2}
    return made_up(tmp_path_factory.mktemp("data"), 2, classes)


@pytest.fixture(scope="module")
def slow(data: FolderDataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle as an earlier version exported it."""
    torch.manual_seed(3)
    network = JointNetwork(NetworkShape(classes=2, latent_channels=6, levels=2)).eval()
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.models.export.graphs.faster_decoder", lambda model: model)
        return write_bundle(network, data, Labelling("tiny", "1", "none", "random"), folder, lambda _: None)


def test_a_bundle_is_given_the_faster_decoder_and_an_int8_twin_of_it(
    slow: Bundle, data: FolderDataset, tmp_path: Path
) -> None:
    said: list[str] = []
    made = optimise(slow, data, tmp_path / "fast", said.append, most_lost_points=100)
    assert "the faster decoder loses at most" in said[0]
    assert made.id != slow.id
    assert made.decoder_sha256 != slow.decoder_sha256
    assert made.tables.to_bytes() == slow.tables.to_bytes()
    assert Bundle.open(slow.folder).decoder_sha256 == slow.decoder_sha256
    if made.int8_decoder is not None:
        assert made.int8_decoder.decoder_sha256 == made.decoder_sha256
    with pytest.raises(BundleError, match="nothing to make faster"):
        optimise(made, data, tmp_path / "again", said.append)
    assert not (tmp_path / "again").exists()


def test_where_masks_would_change_nothing_is_written(slow: Bundle, data: FolderDataset, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"and -100 are allowed: nothing was changed"):
        optimise(slow, data, tmp_path / "fast", lambda _: None, most_lost_points=-100)
    assert not (tmp_path / "fast").exists()
