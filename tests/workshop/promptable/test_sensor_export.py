"""What a sensor's converter is given: bytes in, no operator it lacks, memory within budget, files that agree."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from narrows.contract.errors import WeightsMismatch
from narrows.models.export.memory_plan import Lifetime, place
from narrows.models.promptable.config import PromptableConfig, Source
from narrows.models.promptable.data import AnnotatedPicture, open_instances, without_fold
from narrows.models.promptable.data.masks import MasksDataset
from narrows.models.promptable.export import export_sensor
from narrows.models.promptable.export.plan import BUDGET_BYTES, plan_sensor
from narrows.models.promptable.export.write import _views
from narrows.models.promptable.run import load_trained
from narrows.runtime.prompting.segmenter import PromptSegmenter


@pytest.fixture(scope="module")
def sensor(trained_run: Path, discs: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensor")
    export_sensor(load_trained(trained_run), [discs], folder, lambda _: None)
    return folder


def _golden(sensor: Path) -> np.ndarray:
    return np.frombuffer((sensor / "golden_inputs.bin").read_bytes(), np.uint8).reshape(-1, 6, 96, 96)


def test_the_float_graph_is_the_network(sensor: Path, trained_run: Path) -> None:
    network = load_trained(trained_run).network
    inputs = _golden(sensor)[0]
    with torch.no_grad():
        exact = network((torch.from_numpy(inputs.copy()).float() - 127)[None] / 128)[0, 0].numpy()
    assert np.allclose(PromptSegmenter.open(sensor / "sensor.onnx").run(inputs), exact, atol=2e-3)


def test_the_int8_graph_takes_the_same_bytes_and_says_nearly_the_same(sensor: Path) -> None:
    exact, rough = (PromptSegmenter.open(sensor / name).run for name in ("sensor.onnx", "sensor.int8.onnx"))
    for inputs in _golden(sensor):
        one, other = exact(inputs), rough(inputs)
        assert np.abs(one - other).mean() < 0.1 * (np.ptp(one) + 0.1)


def test_the_int8_graph_normalises_by_its_inputs_scale_alone(sensor: Path) -> None:
    graph = onnx.load(sensor / "sensor.int8.onnx").graph
    assert graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    readers = [node for node in graph.node if "inputs" in node.input]
    assert {node.op_type for node in readers} == {"DequantizeLinear"}
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    assert [float(stored[name]) for name in readers[0].input[1:]] == [1 / 128, 127]


def test_weights_are_int8_per_channel(sensor: Path) -> None:
    index = json.loads((sensor / "weights.json").read_text())
    weights = [entry for entry in index if entry["dtype"] == "int8"]
    assert len(weights) == 57
    assert all(len(entry["scales"]) == entry["shape"][0] for entry in weights)


def test_flat_weights_are_those_of_the_graph(sensor: Path) -> None:
    flat = (sensor / "weights.bin").read_bytes()
    stored = {
        each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(sensor / "sensor.int8.onnx").graph.initializer
    }
    for entry in json.loads((sensor / "weights.json").read_text()):
        count = int(np.prod(entry["shape"]))
        found = np.frombuffer(flat, f"<{'i1' if entry['dtype'] == 'int8' else 'i4'}", count, entry["offset"])
        assert entry["offset"] % 16 == 0
        assert np.array_equal(found.reshape(entry["shape"]), stored[entry["name"]])


def test_golden_logits_are_what_the_graph_answers(sensor: Path) -> None:
    told = np.frombuffer((sensor / "golden_logits.bin").read_bytes(), "<f4").reshape(-1, 96, 96)
    run = PromptSegmenter.open(sensor / "sensor.int8.onnx").run
    assert np.array_equal(run(_golden(sensor)[3]), told[3])


def test_the_report_is_within_what_a_sensor_has(sensor: Path) -> None:
    report = json.loads((sensor / "report.json").read_text())
    assert report["parameters"] <= 1_300_000
    assert report["macs"] <= 336_000_000
    assert report["int8_file_bytes"] <= 1_300_000
    assert report["total_bytes"] <= BUDGET_BYTES
    assert set(report["operators"]) <= {"Conv", "Clip", "Relu", "Add", "Concat", "Resize"}
    assert report["unseen_fold"] == 0
    sizes = {"int8": 1, "int32": 4 + 4}  # a bias has a multiplier beside it
    weights = json.loads((sensor / "weights.json").read_text())
    assert report["weight_bytes"] == sum(sizes[each["dtype"]] * int(np.prod(each["shape"])) for each in weights)


def test_a_graph_knows_the_fold_that_it_never_saw(sensor: Path) -> None:
    assert PromptSegmenter.open(sensor / "sensor.int8.onnx").unseen_fold == 0


def test_tensors_alive_at_once_never_share_a_place() -> None:
    chance = np.random.default_rng(0)
    starts = chance.integers(0, 20, 40)
    tensors = tuple(
        Lifetime(f"t{i}", int(chance.integers(1, 100)), int(s), int(s + chance.integers(0, 6)))
        for i, s in enumerate(starts)
    )
    placed = place(tensors)
    assert len(placed) == 40
    for one in placed:
        for other in placed:
            if one is not other and one.written <= other.read and other.written <= one.read:
                assert one.offset + one.size_bytes <= other.offset or other.offset + other.size_bytes <= one.offset


def _chain(*operators: str) -> onnx.ModelProto:
    names = ["inputs", *(f"t{place}" for place in range(len(operators) - 1)), "logits"]
    nodes = [helper.make_node(each, [names[i]], [names[i + 1]], f"n{i}") for i, each in enumerate(operators)]
    shape = [1, 2, 4, 4]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("inputs", "logits")]
    return helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )


@pytest.mark.parametrize("operator", ["Softmax", "Gelu", "Sigmoid", "LayerNormalization"])
def test_an_operator_that_sensors_lack_is_refused_by_name(operator: str, tmp_path: Path) -> None:
    model = _chain("Relu", operator)
    if operator == "LayerNormalization":
        model.graph.node[1].input.append("inputs")
    onnx.save(model, tmp_path / "g.onnx")
    with pytest.raises(WeightsMismatch, match=operator):
        plan_sensor(tmp_path / "g.onnx")


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_a_resize_of_other_than_nearest_neighbours_is_refused_by_name(mode: str, tmp_path: Path) -> None:
    model = _chain("Relu", "Resize")
    resize = model.graph.node[1]
    resize.input.extend(["", "scales"])
    resize.attribute.append(helper.make_attribute("mode", mode))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "scales"))
    onnx.save(model, tmp_path / "g.onnx")
    with pytest.raises(WeightsMismatch, match=rf"Resize \({mode}\)"):
        plan_sensor(tmp_path / "g.onnx")


def test_a_skip_keeps_its_tensor_alive(tmp_path: Path) -> None:
    """inputs (32 bytes) is read again at the end: input, product and sum are alive together."""
    nodes = [
        helper.make_node("Concat", ["inputs", "inputs"], ["a"], "a", axis=1),
        helper.make_node("Relu", ["a"], ["b"], "b"),
        helper.make_node("Concat", ["b", "inputs"], ["logits"], "c", axis=1),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 4, 4])
        for name, channels in (("inputs", 2), ("logits", 6))
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    onnx.save(model, tmp_path / "g.onnx")
    plan = plan_sensor(tmp_path / "g.onnx")
    assert (plan.peak_bytes, plan.peak_step) == (32 + 64 + 96, "Concat c")
    assert plan.arena_bytes == 192
    assert {each.name for each in plan.lifetimes} == {"inputs", "a", "logits"}  # the clip changes its input in place


def _renamed(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.input[0].name = "x"


def _dynamic(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def _scalar(model: onnx.ModelProto) -> None:
    for end in (*model.graph.input, *model.graph.output):
        del end.type.tensor_type.shape.dim[:]


@pytest.mark.parametrize("change", [_renamed, _dynamic, _scalar])
def test_a_graph_that_is_not_ours_is_refused(change: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    model = _chain("Relu")
    change(model)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(WeightsMismatch, match="no graph of `narrows promptable export`"):
        PromptSegmenter.open(tmp_path / "other.onnx")


@pytest.mark.parametrize("fault", ["takes floats", "fold"])
def test_a_graph_of_our_shapes_that_takes_or_says_something_else_is_refused_as_well(
    fault: str, sensor: Path, tmp_path: Path
) -> None:
    model = onnx.load(sensor / "sensor.onnx")
    if fault == "fold":
        model.metadata_props[0].value = "the first"
    else:
        (cast,) = (node for node in model.graph.node if node.op_type == "Cast")
        model.graph.input[0].type.tensor_type.elem_type = cast.attribute[0].i = TensorProto.FLOAT
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(WeightsMismatch, match="no graph of `narrows promptable export`"):
        PromptSegmenter.open(tmp_path / "other.onnx")


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"no graph")
    for path in (tmp_path / "other.onnx", tmp_path / "missing.onnx"):
        with pytest.raises(WeightsMismatch, match=f"{path.name} cannot be opened"):
            PromptSegmenter.open(path)


def test_no_picture_of_the_unseen_fold_calibrates(
    trained_run: Path, config: PromptableConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,), read, looked_at = config.sources, MasksDataset.read, set()

    def watched(dataset: MasksDataset, name: str) -> AnnotatedPicture:
        looked_at.add(name)
        return read(dataset, name)

    monkeypatch.setattr(MasksDataset, "read", watched)
    trained = load_trained(trained_run)
    assert list(_views(trained, [source]))
    assert trained.fold is not None
    names = open_instances(source.root, source.layout, source.split).names
    assert looked_at == set(without_fold(names, trained.fold))
