"""The decoder's int8 twins: what engines are built from, and what processors run; kept only where accuracy holds."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.int8_decoder import DECODER_CPU, TWINS
from narrows.contract.bundle.manifest import CAMERA_DECODER, LABEL_TABLES, MANIFEST
from narrows.contract.errors import BundleError
from narrows.contract.outputs import Output
from narrows.contract.outputs.labels.scaling import DIVISORS, divided_size
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation.in_process import InProcessDecoder
from narrows.models.export.camera_masks import add_camera_masks
from narrows.models.export.int8_loss import Loss
from narrows.models.export.labelling import Labelling
from narrows.models.export.quantise import MOST_LOST_POINTS, MOST_LOST_POINTS_CPU, add_int8_decoders, split_off
from narrows.models.export.recount import recount
from narrows.models.export.write import write_bundle
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.runtime.onnx_runtime import InferenceSession
from tests.workshop.export.small_data import made_up

DEMO = Path(__file__).parents[3] / "bundles" / "demo"
PAIR = ("QuantizeLinear", "DequantizeLinear")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FolderDataset:
    classes = {"classes": ["a", "b"], "ignore_index": 255, "palette": [[0, 0, 0]] * 2}
    return made_up(tmp_path_factory.mktemp("data"), 2, classes)


@pytest.fixture(scope="module")
def bundle(data: FolderDataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(3)
    network = JointNetwork(NetworkShape(classes=2, latent_channels=6, levels=3)).eval()
    folder = tmp_path_factory.mktemp("bundle")
    exported = write_bundle(network, data, Labelling("tiny", "1", "none", "random"), folder, lambda _: None)
    return add_int8_decoders(exported, data, lambda _: None, most_lost_points=100, most_lost_points_cpu=100)


@pytest.fixture(params=["demo", "exported"])
def twins(request: pytest.FixtureRequest, bundle: Bundle) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    chosen = Bundle.open(DEMO) if request.param == "demo" else bundle
    return onnx.load(chosen.decoder_path), onnx.load(chosen.int8_decoder_path)


def test_only_the_inputs_of_convolutions_are_quantised(
    twins: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    graph = twins[1].graph
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        behind = [makers[name].op_type if name in makers else None for name in node.input]
        if node.op_type == "Conv":
            assert behind[:2] == ["DequantizeLinear", "DequantizeLinear"], node.name
            assert all(makers[makers[name].input[0]].op_type == "QuantizeLinear" for name in node.input[:2])
        elif node.op_type == "DequantizeLinear":
            assert behind == ["QuantizeLinear", None, None], node.name
        else:
            reads = set(behind) & {"DequantizeLinear"} if node.op_type in PAIR else set(behind) & set(PAIR)
            assert not reads, f"{node.op_type} {node.name} reads what was quantised"
    readers = Counter(name for node in graph.node for name in node.input)
    assert all(readers[node.output[0]] == 1 for node in graph.node if node.op_type in PAIR), "a pair is shared"


def test_quantisation_is_signed_symmetric_and_by_output_channel_for_weights(
    twins: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    graph = twins[1].graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    pairs = [node for node in graph.node if node.op_type in PAIR]
    assert len(pairs) == 4 * sum(node.op_type == "Conv" for node in graph.node)
    for node in pairs:
        first = node if node.op_type == "QuantizeLinear" else makers[node.input[0]]
        scale, zero_point = constants[node.input[1]], constants[node.input[2]]
        assert np.array_equal(scale, constants[first.input[1]])
        assert zero_point.dtype == np.int8
        assert not zero_point.any()
        assert np.isfinite(scale).all()
        assert (scale > 0).all()
        weight = constants.get(first.input[0])
        axis = {each.name: each.i for each in node.attribute}.get("axis")
        if weight is None:
            assert scale.size == 1, node.name
        else:
            assert weight.dtype == np.float32
            assert (axis, scale.shape) == (0, weight.shape[:1]), node.name
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) > 2:
            assert constants[node.input[2]].dtype == np.float32, "a bias stays float"


def test_the_rest_of_the_graph_is_that_of_the_float_decoder(twins: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    exact, rough = twins
    assert list(rough.graph.input) == list(exact.graph.input)
    assert list(rough.graph.output) == list(exact.graph.output)
    assert [(each.domain, each.version) for each in rough.opset_import] == [("", exact.opset_import[0].version)]
    assert rough.ir_version == exact.ir_version
    kinds = [Counter(node.op_type for node in model.graph.node if node.op_type not in PAIR) for model in twins]
    assert kinds[0] == kinds[1]


def test_the_int8_decoder_runs_and_its_record_is_believable(bundle: Bundle) -> None:
    assert bundle.int8_decoder is not None
    InProcessDecoder(bundle, bundle.int8_decoder_path)
    assert (bundle.int8_decoder.calibration_frames, bundle.int8_decoder.held_out_frames) == (5, 1)
    assert all(0.5 < share <= 1 for share in bundle.int8_decoder.agreement)


def test_the_demo_bundles_accuracy_holds() -> None:
    demo = Bundle.open(DEMO)
    for record, most in ((demo.int8_decoder, MOST_LOST_POINTS), (demo.cpu_decoder, MOST_LOST_POINTS_CPU)):
        assert record is not None
        assert Loss(record.points_lost, record.agreement).holds(most)


@pytest.mark.parametrize(("lost", "holds"), [((0.5, -1.0), True), ((0.0, 0.51), False), ((float("nan"),), False)])
def test_accuracy_holds_if_no_level_loses_more_than_is_allowed(lost: tuple[float, ...], *, holds: bool) -> None:
    assert Loss(lost, ()).holds(MOST_LOST_POINTS) is holds


def test_where_accuracy_does_not_hold_the_graph_is_left_out_and_the_line_says_why(
    bundle: Bundle, data: FolderDataset, tmp_path: Path
) -> None:
    copied = recount(bundle, data, tmp_path / "copy", lambda _: None)
    assert copied.int8_decoder == bundle.int8_decoder
    assert copied.cpu_decoder == bundle.cpu_decoder
    said: list[str] = []
    without = add_int8_decoders(copied, data, said.append, most_lost_points=-100, most_lost_points_cpu=-100)
    assert without.int8_decoder is without.cpu_decoder is None
    assert "no int8 decoder: it loses at most" in said[-2]
    assert "no int8 decoder for processors: it loses at most" in said[-1]
    assert not [name for name in TWINS if (copied.folder / name).exists()]


def test_each_twin_is_kept_or_left_out_by_its_own_measure(bundle: Bundle, data: FolderDataset, tmp_path: Path) -> None:
    copied = recount(bundle, data, tmp_path / "copy", lambda _: None)
    kept = add_int8_decoders(copied, data, lambda _: None, most_lost_points=-100, most_lost_points_cpu=100)
    assert kept.int8_decoder is None
    assert kept.cpu_decoder == bundle.cpu_decoder


def test_processors_get_no_twin_of_a_decoder_whose_other_outputs_nobody_measures(
    bundle: Bundle, data: FolderDataset, tmp_path: Path
) -> None:
    copied = recount(bundle, data, tmp_path / "copy", lambda _: None)
    outputs = (*copied.manifest.outputs, Output("scene", "scores", "float32", (2,), "raw"))
    two = replace(copied.manifest, schema=2, outputs=outputs)
    (copied.folder / MANIFEST).write_bytes(two.to_json())
    said: list[str] = []
    made = add_int8_decoders(
        Bundle.open(copied.folder), data, said.append, most_lost_points=100, most_lost_points_cpu=100
    )
    assert made.int8_decoder is not None
    assert made.cpu_decoder is None
    assert "what outputs beside the label map would lose is not measured" in said[0]


@pytest.mark.parametrize("which", ["demo", "exported"])
def test_for_processors_all_convolutions_but_the_classifier_are_int8_with_weights_of_7_bits(
    bundle: Bundle, which: str
) -> None:
    chosen = Bundle.open(DEMO) if which == "demo" else bundle
    graph = onnx.load(chosen.folder / DECODER_CPU).graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    in_float = [node for node in convolutions if node.input[1] in constants]
    assert [makers[node.input[0]].op_type for node in in_float] == ["DequantizeLinear"]
    assert "Resize" in {node.op_type for node in graph.node if in_float[0].output[0] in node.input}
    for node in convolutions:
        if node is not in_float[0]:
            weights = constants[makers[node.input[1]].input[0]]
            assert weights.dtype == np.int8
            assert np.abs(weights.astype(int)).max() <= 64, "two products of 8 bits overflow 16 without VNNI"


def test_packets_are_decoded_here_with_the_graph_that_processors_run(bundle: Bundle) -> None:
    opened: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "narrows.models.evaluation.in_process.InferenceSession", lambda path, *_, **__: opened.append(path)
        )
        InProcessDecoder(bundle)
        InProcessDecoder(replace(bundle, cpu_decoder=None))
    assert opened == [bundle.folder / DECODER_CPU, bundle.decoder_path]


def test_what_is_judged_on_was_not_calibrated_on(data: FolderDataset) -> None:
    samples = list(data)
    calibration, held_out = split_off(samples)
    assert len(calibration) + len(held_out) == len(samples)
    assert held_out[0] is samples[-1]
    assert split_off(samples[:1]) == ([], samples[:1])


def test_a_bundle_is_given_a_camera_decoder_and_label_tables_and_is_another_then(
    bundle: Bundle, data: FolderDataset, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.folder.iterdir()}
    made = add_camera_masks(bundle, data, tmp_path / "out", lambda _: None, most_lost_points=100)
    assert {path.name: path.read_bytes() for path in bundle.folder.iterdir()} == before
    assert made.id != bundle.id
    assert made.has_camera_decoder
    assert made.label_tables is not None
    assert not made.manifest.files[CAMERA_DECODER].required
    assert made.manifest.files[LABEL_TABLES].required
    assert made.int8_decoder == bundle.int8_decoder
    assert made.cpu_decoder == bundle.cpu_decoder
    session = InferenceSession(made.camera_decoder_path, providers=["CPUExecutionProvider"])
    feed = {"symbols": np.zeros((1, *made.manifest.latent.as_tuple()), np.int8), "level": np.zeros((1, 1), np.int32)}
    shapes = [session.run(["labels"], {**feed, "scale": np.array([scale])})[0].shape[1:] for scale in DIVISORS]
    assert shapes == [divided_size(64, 96, scale) for scale in DIVISORS]


def test_a_camera_decoder_that_loses_too_much_changes_nothing(
    bundle: Bundle, data: FolderDataset, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="no camera decoder: it loses at most"):
        add_camera_masks(bundle, data, tmp_path / "out", lambda _: None, most_lost_points=-100)
    assert not (tmp_path / "out").exists()
