"""An ONNX graph in torch computes what ONNX Runtime computes, and its weights go back into the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from narrows.contract.errors import NotTrainable
from narrows.models.bottleneck.checking import check_computed
from narrows.models.bottleneck.operators import OPERATORS
from narrows.models.bottleneck.trainable import Trainable
from narrows.models.bottleneck.weights import with_float_weights, with_whole_weights
from narrows.models.split.halves import Runner
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network
from tests.workshop.bottleneck.networks import int8_network
from tests.workshop.split.networks import RESIDUAL, opened

GRAPHS = {
    "Add Mul Sub Div": "a = Add (x, s)\n b = Mul (a, x)\n c = Sub (b, s)\n y = Div (c, s)",
    "AveragePool": "y = AveragePool <kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2]> (x)",
    "BatchNormalization": "y = BatchNormalization (x, s4, t4, t4, s4)",
    "Cast Identity Dropout": "a = Cast <to = 1> (x)\n b = Identity (a)\n y = Dropout (b)",
    "Clip": "y = Clip (x, low, high)",
    "Concat Slice": "a = Concat <axis = 1> (x, x)\n y = Slice (a, one, five, one)",
    "Slice by steps": "y = Slice (x, one, five, two, two)",
    "Conv": "y = Conv <strides = [2,2], pads = [0,0,1,1]> (x, w, t4)",
    "Conv, same": 'y = Conv <strides = [2,2], auto_pad = "SAME_UPPER"> (x, w, t4)',
    "Conv, same, more before": 'y = Conv <strides = [2,2], auto_pad = "SAME_LOWER"> (x, w, t4)',
    "Conv, dilated groups": "y = Conv <group = 4, dilations = [2,2], pads = [2,2,2,2]> (x, d, t4)",
    "DepthToSpace": "y = DepthToSpace <blocksize = 2> (x)",
    "DepthToSpace, columns first": 'y = DepthToSpace <blocksize = 2, mode = "CRD"> (x)',
    "QuantizeLinear DequantizeLinear": "q = QuantizeLinear (x, tenth, zero)\n y = DequantizeLinear (q, tenth, zero)",
    "Flatten Gemm": "f = Flatten (x)\n y = Gemm <transB = 1, alpha = 0.5, beta = 2.0> (f, g, t5)",
    "Gather": "y = Gather <axis = 2> (x, rows)",
    "GlobalAveragePool HardSigmoid": "a = GlobalAveragePool (x)\n y = HardSigmoid (a)",
    "HardSwish LeakyRelu": "a = HardSwish (x)\n y = LeakyRelu (a)",
    "MaxPool Relu": "a = Relu (x)\n y = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2]> (a)",
    "Pad": "y = Pad (x, pads, low)",
    "ReduceMean Squeeze MatMul": "a = ReduceMean (x, sides)\n b = Squeeze (a, sides)\n y = MatMul (b, m)",
    "Reshape Transpose": "a = Reshape (x, shape)\n y = Transpose <perm = [0,2,1]> (a)",
    "Resize, linear": 'y = Resize <mode = "linear"> (x, , scales)',
    "Resize, nearest": 'y = Resize <mode = "nearest"> (x, , scales)',
    "Round Unsqueeze Squeeze": "a = Round (x)\n b = Unsqueeze (a, one)\n y = Squeeze (b, one)",
    "Sigmoid Softmax": "a = Sigmoid (x)\n y = Softmax <axis = 1> (a)",
}
CONSTANTS = {
    "s": np.float32(0.7), "s4": np.array([0.5, 1, 2, 3], np.float32), "t4": np.array([0.1, -1, 2, 0], np.float32),
    "t5": np.arange(5, dtype=np.float32), "low": np.float32(-0.4), "high": np.float32(0.9), "tenth": np.float32(0.1),
    "zero": np.array(3, np.int8), "one": np.array([1]), "two": np.array([2]), "five": np.array([5]),
    "rows": np.array([0, 0, 3, 5]), "pads": np.array([0, 0, 1, 0, 0, 0, 2, 3]), "sides": np.array([2, 3]),
    "odd": np.array([1, 1, 1.3, 1.3], np.float32), "odd2": np.array([2, 2], np.float32), "tens": np.float32(10),
    "rows144": np.array([1, 144, 1]), "m144": np.random.default_rng(6).standard_normal((144, 4)).astype(np.float32),
    "whole": np.array([-70_000, 3, 0, 123_456], np.int32).reshape(1, 4, 1, 1), "shape": np.array([0, 4, -1]),
    "scales": np.array([1, 1, 2, 2], np.float32),
    "w": np.random.default_rng(1).standard_normal((4, 4, 3, 3)).astype(np.float32),
    "d": np.random.default_rng(2).standard_normal((4, 1, 3, 3)).astype(np.float32),
    "g": np.random.default_rng(3).standard_normal((5, 144)).astype(np.float32),
    "m": np.random.default_rng(4).standard_normal((4, 2)).astype(np.float32),
}  # fmt: skip
PICTURE = np.random.default_rng(5).standard_normal((1, 4, 6, 6)).astype(np.float32)


def network_of(nodes: str, folder: Path) -> Network:
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 18]> g (float[1,4,6,6] x) => (float y) {{ {nodes} }}'
    )
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items() if name in read
    )
    onnx.save(model, folder / "graph.onnx")
    return open_network(folder / "graph.onnx")


@pytest.mark.parametrize("name", GRAPHS)
def test_torch_computes_what_onnx_runtime_computes(name: str, tmp_path: Path) -> None:
    network = network_of(GRAPHS[name], tmp_path)
    wanted = Runner(network.model, optimised=False)({"x": PICTURE})["y"]
    made = Trainable(network, ["y"], {})(torch.from_numpy(PICTURE))["y"]
    np.testing.assert_allclose(made.detach().numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_every_operator_of_the_table_is_held_against_onnx_runtime() -> None:
    assert {word for nodes in GRAPHS.values() for word in OPERATORS if f"= {word} " in nodes} == set(OPERATORS)


def test_an_operator_that_is_not_trained_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotTrainable, match=r"node 0 of graph is a Elu, which is not trained here; trained are Add"):
        Trainable(network_of("y = Elu (x)", tmp_path), ["y"], {})


def test_what_an_operator_does_not_take_is_named_with_its_node(tmp_path: Path) -> None:
    nodes = "y = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (x)"
    with pytest.raises(NotTrainable, match=r"node 0 \(MaxPool\): a MaxPool with ceil_mode"):
        Trainable(network_of(nodes, tmp_path), ["y"], {})(torch.from_numpy(PICTURE))


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_computed_alike_is_let_pass(name: str, tmp_path: Path) -> None:
    check_computed(network_of(GRAPHS[name], tmp_path), "y", {"x": PICTURE})


@pytest.mark.parametrize(
    ("nodes", "operator", "said"),
    [
        ('y = Resize <mode = "linear"> (x, , odd)', "Resize", "is computed otherwise here than by ONNX Runtime"),
        ('y = Resize <mode = "nearest", nearest_mode = "ceil"> (x, , scales)', "Resize", "is computed otherwise"),
        ("y = Resize <axes = [2,3]> (x, , odd2)", "Resize", "is not taken as it stands"),
        ("y = Transpose (x)", "Transpose", "is not taken as it stands"),
        (
            "f = Flatten (x)\n g4 = MatMul (f, m144)\n y = BatchNormalization (g4, s4, t4, t4, s4)",
            "BatchNorm",
            "otherwise",
        ),
        ("a = Reshape (x, rows144)\n y = Squeeze (a)", "Squeeze", "is not taken as it stands: list index"),
        ("a = Mul (x, tens)\n b = Cast <to = 6> (a)\n y = Cast <to = 1> (b)", "Cast", "is computed otherwise"),
    ],
)
def test_what_torch_would_compute_otherwise_is_refused_by_name(
    nodes: str, operator: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(NotTrainable, match=rf"node \d+ \({operator}.*{said}"):
        check_computed(network_of(nodes, tmp_path), "y", {"x": PICTURE})


def test_weights_that_were_trained_are_written_into_the_graph(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    trainable = Trainable(network, ["result"], {})
    assert set(trainable.named_weights()) == {"w", "v", "u"}
    with torch.no_grad():
        trainable.named_weights()["u"].mul_(2)
    picture = np.random.default_rng(6).random((1, 3, 8, 8)).astype(np.float32)
    before, after = (Runner(model)({"picture": picture})["result"] for model in (network.model, trainable.written()))
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)


def test_what_cannot_be_written_back_is_not_learned(tmp_path: Path) -> None:
    """A weight that the graph computes of another is no initialiser."""
    network = network_of("n = Transpose <perm = [1,0,2,3]> (w)\n c = Conv (x, n)\n y = Conv (c, w)", tmp_path)
    assert set(Trainable(network, ["y"], {}).named_weights()) == {"w"}


def test_what_rounds_passes_gradients_on(tmp_path: Path) -> None:
    network = network_of(
        "c = Conv (x, w)\n q = QuantizeLinear (c, tenth, zero)\n y = DequantizeLinear (q, tenth, zero)", tmp_path
    )
    trainable = Trainable(network, ["y"], {})
    trainable(torch.from_numpy(PICTURE))["y"].sum().backward()
    gradient = trainable.named_weights()["w"].grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_a_network_in_int8_is_as_it_was_after_its_weights_were_floats(tmp_path: Path) -> None:
    network = int8_network(tmp_path)
    floats, rounded = with_float_weights(network.model)
    assert {name: (how.axis, how.dtype) for name, how in rounded.items()} == {
        "w": (0, "int8"), "b": (0, "int32"), "v": (0, "int8"), "c": (0, "int32"),
    }  # fmt: skip
    again = with_whole_weights(floats, rounded)
    whole = {each.name: numpy_helper.to_array(each) for each in again.graph.initializer}
    was = {each.name: numpy_helper.to_array(each) for each in network.model.graph.initializer}
    np.testing.assert_array_equal(whole["w/whole"], was["w_q"])
    np.testing.assert_array_equal(whole["c/whole"], was["c_q"])
    np.testing.assert_allclose(whole["v/scale"], was["v_s"], rtol=1e-6)
    picture = np.random.default_rng(7).random((1, 3, 8, 8)).astype(np.float32)
    for model in (floats, again):
        made = Runner(model, optimised=False)({"picture": picture})["scores"]
        np.testing.assert_allclose(
            made, Runner(network.model, optimised=False)({"picture": picture})["scores"], atol=1e-5
        )


def test_weights_are_rounded_in_training_as_they_are_shipped(tmp_path: Path) -> None:
    network = int8_network(tmp_path)
    floats, rounded = with_float_weights(network.model)
    onnx.save(floats, tmp_path / "floats.onnx")
    trainable = Trainable(open_network(tmp_path / "floats.onnx"), ["scores"], rounded)
    with torch.no_grad():
        for weight in trainable.named_weights().values():
            weight.add_(torch.linspace(-0.01, 0.01, weight.numel()).reshape(weight.shape))
    picture = np.random.default_rng(8).random((1, 3, 8, 8)).astype(np.float32)
    made = trainable(torch.from_numpy(picture))["scores"].detach().numpy()
    shipped = Runner(with_whole_weights(trainable.written(), rounded), optimised=False)({"picture": picture})["scores"]
    np.testing.assert_allclose(made, shipped, atol=1e-4)


def test_a_bias_that_its_scale_cannot_hold_widens_the_scale(tmp_path: Path) -> None:
    network = int8_network(tmp_path)
    floats, rounded = with_float_weights(network.model)
    for each in floats.graph.initializer:
        if each.name == "w":
            each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each) * 1e-9, "w"))
    again = with_whole_weights(floats, rounded)
    picture = np.random.default_rng(9).random((1, 3, 8, 8)).astype(np.float32)
    wanted, made = (Runner(model, optimised=False)({"picture": picture})["scores"] for model in (floats, again))
    np.testing.assert_allclose(made, wanted, atol=1e-4)


@pytest.mark.parametrize("axis", [None, 1])
def test_a_bias_that_no_convolution_reads_has_a_scale_of_its_own(axis: int | None, tmp_path: Path) -> None:
    scales = "tenth" if axis is None else "s4"
    text = f"b = DequantizeLinear <axis = {axis or 0}> (whole, {scales})\n c = Conv (x, w)\n y = Add (c, b)"
    network = network_of(text, tmp_path)
    again = with_whole_weights(*with_float_weights(network.model))
    dtypes = {each.name: each.data_type for each in again.graph.initializer}
    assert dtypes["b/whole"] == onnx.TensorProto.INT32
    wanted, made = (Runner(model, optimised=False)({"x": PICTURE})["y"] for model in (network.model, again))
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-2)  # of 123,456 / 10


def test_weights_with_a_zero_of_their_own_are_refused_by_name(tmp_path: Path) -> None:
    model = int8_network(tmp_path).model
    for each in model.graph.initializer:
        if each.name == "w_z":
            each.CopyFrom(numpy_helper.from_array(np.eye(12, dtype=np.int8)[0], "w_z"))
    with pytest.raises(NotTrainable, match="weight w_q has a zero that is not 0"):
        with_float_weights(model)


def test_a_refusal_without_a_word_names_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> torch.Tensor:
        raise RuntimeError

    monkeypatch.setattr("narrows.models.bottleneck.trainable.OPERATORS", {**OPERATORS, "Relu": refuse})
    with pytest.raises(NotTrainable, match=r"Relu\) is not taken as it stands: RuntimeError"):
        check_computed(network_of("y = Relu (x)", tmp_path), "y", {"x": PICTURE})
