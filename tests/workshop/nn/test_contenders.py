"""What the joint decoder is compared with is what it is said to be."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from benchmarks.rate.claims import EQUAL_COST, SEPARATE
from benchmarks.rate.contenders import CONTENDERS, width_of, write_head
from benchmarks.rate.plan import RunFolder
from narrows.models.export.cost import Cost, count_cost
from narrows.models.export.picture_graphs import MaskAtEdge, write_picture_graph
from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.efficientnet_lite import EfficientNetLite0
from narrows.models.nn.heads import DeepLabV3Head
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.pictures import PictureNetwork
from narrows.models.nn.resnet import ResNet50Encoder
from narrows.models.nn.separate import (
    SeparateContext,
    SeparateDeepLabV3,
    SeparateDeepLabV3Plus,
    SeparateLRASPP,
    rebuilding_loss,
)
from narrows.models.nn.small_decoder import SmallJointDecoder

CHANNELS, CLASSES, SIZE = 48, 11, (72, 88)
DECODERS: list[Callable[[], nn.Module]] = [
    lambda: SmallJointDecoder(CHANNELS, CLASSES),
    lambda: SeparateDeepLabV3(CHANNELS, CLASSES),
    lambda: SeparateDeepLabV3Plus(CHANNELS, CLASSES),
    lambda: SeparateLRASPP(CHANNELS, CLASSES, 64),
    lambda: SeparateContext(CHANNELS, CLASSES, 64),
]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("build", DECODERS)
def test_a_latent_becomes_logits_of_the_pictures_size(build: Callable[[], nn.Module]) -> None:
    with torch.no_grad():
        logits = build().eval()(torch.randn(2, CHANNELS, 5, 6), SIZE)
    assert logits.shape == (2, CLASSES, *SIZE)


def test_the_small_decoder_has_a_hundredth_of_separate_decodings_parameters() -> None:
    separate = parameters(_folded(SeparateDeepLabV3(CHANNELS, CLASSES)))
    assert parameters(_folded(SmallJointDecoder(CHANNELS, CLASSES))) <= 0.01 * separate


def test_a_source_decoder_has_at_most_a_tenth_of_its_heads_parameters() -> None:
    deeplab, resnet = SeparateDeepLabV3(64, CLASSES), SeparateDeepLabV3(64, CLASSES, 2048, 512)
    plus, lraspp = SeparateDeepLabV3Plus(CHANNELS, CLASSES), SeparateLRASPP(CHANNELS, CLASSES, 600)
    for whole in (deeplab, resnet, plus, lraspp):
        folded = _folded(whole)
        head = parameters(cast("nn.Module", folded.head))
        assert parameters(folded) - head <= 0.1 * head


def test_deeplabs_head_is_as_large_as_torchvisions() -> None:
    assert parameters(_folded(DeepLabV3Head(21, 2048))) == pytest.approx(16.13e6, rel=0.01)


def test_the_rebuilt_tensors_have_the_shapes_that_the_trunk_makes() -> None:
    with torch.no_grad():
        _, at8, at16 = EfficientNetLite0().eval()(torch.zeros(1, 3, *SIZE))
        rebuilt = SeparateLRASPP(CHANNELS, CLASSES, 16).eval().rebuild(torch.zeros(1, CHANNELS, *at16.shape[-2:]))
    assert rebuilt[1].shape == at16.shape
    assert rebuilt[0].shape[1] == at8.shape[1]
    assert float(rebuilding_loss(rebuilt, (torch.randn(at8.shape), torch.randn(at16.shape)))) > 0


def test_perfectly_rebuilt_tensors_cost_nothing() -> None:
    feature = torch.randn(1, 3, 4, 4)
    assert float(rebuilding_loss([feature], [feature])) == 0
    assert float(rebuilding_loss([torch.zeros_like(feature)], [feature])) == pytest.approx(1, rel=0.2)


def test_resnets_latent_lies_on_the_same_grid() -> None:
    with torch.no_grad():
        assert ResNet50Encoder(CHANNELS).eval()(torch.zeros(1, 3, *SIZE)).shape == (1, CHANNELS, 5, 6)


def test_a_picture_graph_counts_as_its_parts_do(tmp_path: Path) -> None:
    network = PictureNetwork(CLASSES).eval()
    write_picture_graph(network, SIZE, tmp_path / "picture.onnx")
    cost = count_cost(tmp_path / "picture.onnx")
    folded = sum(m.weight.numel() for m in _folded(network).modules() if isinstance(m, nn.Conv2d))
    assert folded < cost.parameters < parameters(network)
    assert cost.macs > 30 * folded


def test_a_mask_at_the_edge_does_what_encoder_and_decoder_do() -> None:
    network = JointNetwork(NetworkShape(CLASSES, 8, 2)).eval()
    pictures = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.allclose(MaskAtEdge(network)(pictures), network.decoder(network.encoder(pictures), SIZE))


def test_the_counter_knows_convolutions_resizes_and_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    onnx.save(_conv_and_resize(), path)
    assert count_cost(path) == Cost(parameters=5 * 3 * 9 + 5, macs=5 * 4 * 6 * 27 + 4 * 5 * 8 * 12 + 5 * 8 * 12)


def test_an_unknown_size_is_refused(tmp_path: Path) -> None:
    model = _conv_and_resize()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, tmp_path / "graph.onnx")
    with pytest.raises(ValueError, match="fixed sizes"):
        count_cost(tmp_path / "graph.onnx")


def test_the_joint_decoder_is_a_tenth_of_separate_decoding() -> None:
    shipped = parameters(_folded(JointDecoder(CHANNELS, CLASSES)))
    for separate in (SeparateDeepLabV3(CHANNELS, CLASSES), SeparateDeepLabV3Plus(CHANNELS, CLASSES)):
        assert shipped <= 0.1 * parameters(_folded(separate))


def test_the_table_compares_with_contenders_that_there_are(tmp_path: Path) -> None:
    by_name = {contender.name: contender for contender in CONTENDERS}
    assert tuple(name for name, contender in by_name.items() if contender.equal_cost) == EQUAL_COST
    network = JointNetwork(NetworkShape(CLASSES, CHANNELS, 2)).eval()
    folder = RunFolder(tmp_path)

    def macs(head: nn.Module) -> int:
        write_head(network, head, SIZE, tmp_path / "head.onnx")
        return count_cost(tmp_path / "head.onnx").macs

    joint = macs(network.decoder)
    assert macs(by_name[SEPARATE].build(network.shape, 0)) > 10 * joint
    for name in EQUAL_COST:
        width = width_of(by_name[name], network, SIZE, folder)
        head = by_name[name].build(network.shape, width)
        assert 0.9 * joint <= macs(head) <= joint
        assert width_of(by_name[name], network, SIZE, folder) == width, "found once"


def _folded(module: nn.Module) -> nn.Module:
    from narrows.models.export.folding import fold  # noqa: PLC0415

    return fold(copy.deepcopy(module))


def _conv_and_resize() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones((5, 3, 3, 3), np.float32), "weight")
    bias = numpy_helper.from_array(np.ones(5, np.float32), "bias")
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    nodes = [
        helper.make_node("Conv", ["x", "weight", "bias"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("Resize", ["y", "", "scales"], ["z"], mode="linear"),
        helper.make_node("ArgMax", ["z"], ["labels"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4, 6])]
    outputs = [helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", 1, None, None])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, [weight, bias, scales])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
