"""The camera's decoder: the bundle's own, for one frame, with masks at any size that may be sent."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from narrows.contract.bundle import Bundle
from narrows.contract.errors import BundleError
from narrows.contract.outputs.labels.scaling import DIVISORS, divided_size
from narrows.models.dataset import FolderDataset
from narrows.models.export.calibration import Feed
from narrows.models.export.camera_decoder import camera_graph
from narrows.models.export.faster_decoder import faster_decoder
from narrows.models.export.int8_loss import frames_of
from narrows.models.export.label_grid import whole_labels
from narrows.runtime.onnx_runtime import InferenceSession

ROOT = Path(__file__).parents[3]
BUNDLE = Bundle.open(ROOT / "bundles" / "demo")
SIZE = (360, 480)
FRAME: Feed = {
    "symbols": np.random.default_rng(0).integers(-3, 4, (1, *BUNDLE.manifest.latent.as_tuple()), dtype=np.int8),
    "level": np.array([[1]], dtype=np.int32),
}


@pytest.fixture(scope="module")
def float_graph(tmp_path_factory: pytest.TempPathFactory) -> InferenceSession:
    path = tmp_path_factory.mktemp("graph") / "camera.onnx"
    onnx.save(camera_graph(onnx.load(BUNDLE.decoder_path), SIZE), path)
    return InferenceSession(path, providers=["CPUExecutionProvider"])


def at(session: InferenceSession, scale: int, frame: Feed = FRAME) -> NDArray[np.uint8]:
    labels: NDArray[np.uint8] = session.run(["labels"], {**frame, "scale": np.array([scale])})[0]
    return labels


def test_at_full_size_it_is_the_bundles_decoder_with_every_row_looked_at(float_graph: InferenceSession) -> None:
    model = whole_labels(onnx.load(BUNDLE.decoder_path)).SerializeToString()
    whole = InferenceSession(model, providers=["CPUExecutionProvider"]).run(["labels"], FRAME)[0]
    assert (at(float_graph, 1) != whole).mean() < 1e-4  # ties of the argmax may fall either way


def test_a_decoder_of_either_form_becomes_the_same(float_graph: InferenceSession) -> None:
    for model in (whole_labels(onnx.load(BUNDLE.decoder_path)), faster_decoder(onnx.load(BUNDLE.decoder_path))):
        session = InferenceSession(camera_graph(model, SIZE).SerializeToString(), providers=["CPUExecutionProvider"])
        for scale in DIVISORS:
            assert (at(session, scale) == at(float_graph, scale)).all()


@pytest.mark.parametrize("scale", DIVISORS)
def test_a_scale_divides_the_sides(float_graph: InferenceSession, scale: int) -> None:
    labels = at(float_graph, scale)
    assert labels.dtype == np.uint8
    assert labels.shape == (1, *divided_size(*SIZE, scale))


def test_sides_that_do_not_divide_are_rounded_up(float_graph: InferenceSession) -> None:
    assert at(float_graph, 7).shape == (1, 52, 69)


def test_a_smaller_mask_is_what_the_logits_say_there(float_graph: InferenceSession) -> None:
    model = whole_labels(onnx.load(BUNDLE.decoder_path))
    resize = next(node for node in model.graph.node if node.op_type == "Resize")
    model.graph.output.append(helper.make_tensor_value_info(resize.input[0], onnx.TensorProto.FLOAT, None))
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    logits = session.run([resize.input[0]], FRAME)[0]
    assert logits.shape[2:] == divided_size(*SIZE, 4)
    assert (at(float_graph, 4) == logits.argmax(axis=1)).all()
    halved = logits.reshape(1, -1, 45, 2, 60, 2).mean(axis=(3, 5))
    assert (at(float_graph, 8) != halved.argmax(axis=1)).mean() < 1e-3


def test_a_decoder_that_ends_otherwise_is_refused() -> None:
    model = whole_labels(onnx.load(BUNDLE.decoder_path))
    next(node for node in model.graph.node if node.op_type == "ArgMax").op_type = "ArgMin"
    with pytest.raises(BundleError, match="made by ArgMin where ArgMax is expected"):
        camera_graph(model, SIZE)


def test_the_demo_bundles_int8_decoder_agrees_with_the_float_one(float_graph: InferenceSession) -> None:
    int8 = InferenceSession(BUNDLE.camera_decoder_path, providers=["CPUExecutionProvider"])
    samples = FolderDataset.open(ROOT / "samples", "val")
    for levels in frames_of(BUNDLE, list(samples)[:2]):
        for scale in DIVISORS:
            assert (at(int8, scale, levels[0]) == at(float_graph, scale, levels[0])).mean() > 0.99
