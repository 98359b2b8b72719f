"""Blocks stand for the whole: the same operators, work and memory, and a table that is measured once."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from narrows.contract.errors import ConfigError
from narrows.models.export.resources import write_and_count
from narrows.models.nn.weak import WeakShape
from narrows.models.nn.weak_designs import Camera, Design
from narrows.models.search.blocks import Kind, blocks_of, every_block, write_block
from narrows.models.search.cost import CameraCost, CameraLimits, operators_of, static_cost
from narrows.models.search.latency_table import LatencyTable, inner_ms
from narrows.models.search.space import Candidate, Space, candidate_of
from narrows.models.split.device import Local
from narrows.models.split.measurements import DeviceMeasurement, read_measurements

SMALL = WeakShape(widths=(8, 12, 16), depths=(1, 1, 2), kernels=(3, 5, 3), head=8, latent_channels=4)
SIZE, CLASSES = (96, 128), 3


@pytest.mark.parametrize(
    ("design", "candidate"),
    [
        (Design.EDGE, Candidate(SMALL)),
        (Design.EDGE, Candidate(replace(SMALL, widths=(8, 64, 160)))),  # most lives at 1/16, beside what the head reads
        (Design.LAYERED, Candidate(WeakShape(stem_kernel=8, latent_stride=32, widths=(8, 12, 16), head=8), 2 / 3)),
    ],
)
def test_blocks_add_up_to_the_network_that_is_exported(design: Design, candidate: Candidate, tmp_path: Path) -> None:
    cost = static_cost(blocks_of(candidate, design, SIZE, CLASSES))
    camera = Camera(design, candidate.shape, CLASSES)
    torch.manual_seed(1)
    with torch.no_grad():  # biases of zero are left out of graphs, and equal ones are shared
        for module in camera.modules():
            if getattr(module, "bias", None) is not None:
                module.bias.uniform_(0.1, 0.2)  # type: ignore[operator]
    path = tmp_path / "camera.onnx"
    whole = write_and_count(camera, [torch.zeros(1, 3, *candidate.sees(SIZE))], path)
    assert cost.macs == whole.macs
    assert cost.weights_bytes == whole.parameters
    assert whole.peak_bytes <= cost.peak_bytes <= 1.1 * whole.peak_bytes
    assert cost.operators == operators_of(onnx.load(path))


def test_every_network_of_a_space_is_made_of_its_blocks() -> None:
    space = Space(width4=(16, 24), width8=(24,), width16=(48, 64), head=(16,), resolution=(0.5, 1.0))
    known = {block.name for block in every_block(space, Design.LAYERED, SIZE, CLASSES)}
    choices = space.choices(Design.LAYERED)
    for place in range(40):
        chosen = {name: values[place % len(values)] for name, values in choices.items()}
        placed = blocks_of(candidate_of(chosen), Design.LAYERED, SIZE, CLASSES)
        assert {each.block.name for each in placed} <= known


def test_choices_that_a_design_has_no_use_for_are_left_out() -> None:
    assert "latent_channels" not in Space().choices(Design.EDGE)
    assert "head" not in Space().choices(Design.FEATURES)
    assert {"head", "latent_stride"} <= Space().choices(Design.LAYERED).keys()


def test_a_candidate_comes_back_from_its_record_under_the_same_name() -> None:
    one = Candidate(SMALL, 2 / 3)
    again = Candidate.of_record(json.loads(json.dumps(one.record)))
    assert (again, again.name) == (one, one.name)
    assert Candidate(SMALL, 0.5).name != one.name
    assert one.sees((360, 480)) == (240, 320)
    assert Candidate(SMALL).sees((365, 481)) == (365, 481)


def test_a_block_is_measured_once_and_a_torn_line_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "latency.jsonl"
    stem = blocks_of(Candidate(SMALL), Design.EDGE, SIZE, CLASSES)[0].block
    assert stem.kind is Kind.STEM
    table = LatencyTable(path, Local())
    first = table.block_ms(stem)
    assert first > 0
    assert LatencyTable(path, None).block_ms(stem) == first
    (measured,) = read_measurements(path).values()
    assert measured.model == f"{stem.name}.int8.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    again = LatencyTable(path, Local())
    assert again.block_ms(stem) == first
    head = blocks_of(Candidate(SMALL), Design.EDGE, SIZE, CLASSES)[-1].block
    again.block_ms(head)
    assert len(read_measurements(path)) == 2
    with pytest.raises(ConfigError, match=f"no measurement of block {head.name.replace('+', '.')}"):
        LatencyTable(tmp_path / "none.jsonl", None).block_ms(head)


def measured(device: str, *nodes: tuple[str, float], processor_s: float | None = 0.002) -> DeviceMeasurement:
    return DeviceMeasurement("0", "m", device, {"p50": 9.0}, None, None, None, processor_s, nodes)


def test_what_stands_between_blocks_is_not_counted_and_a_quota_is_a_share_of_a_processor() -> None:
    nodes = (("input0_QuantizeLinear", 20.0), ("node_conv", 60.0), ("node_add_DequantizeLinear", 20.0))
    assert inner_ms(measured("local", *nodes)) == pytest.approx(2.0 * 0.6)
    assert inner_ms(measured("quota 0.25", *nodes)) == pytest.approx(8.0 * 0.6)
    assert inner_ms(measured("quota:0.25")) == pytest.approx(8.0)
    assert inner_ms(measured("", ("node_conv", 60.0), processor_s=None)) == pytest.approx(9.0)


def test_limits_name_what_is_over_and_by_how_much() -> None:
    cost = CameraCost(100, 50, 400, frozenset({"Conv", "Resize"}), 3.0)
    assert CameraLimits().excess(cost) == {}
    assert CameraLimits(3.0, 400, 50, 100, frozenset({"Conv", "Resize", "Add"})).excess(cost) == {}
    broken = CameraLimits(2.0, 200, 50, None, frozenset({"Conv"})).excess(cost)
    assert broken == {"latency_ms": 0.5, "peak_bytes": 1.0, "operators": 1.0}


def test_a_graph_of_a_block_says_what_it_is(tmp_path: Path) -> None:
    placed = blocks_of(Candidate(SMALL), Design.EDGE, SIZE, CLASSES)
    kinds = [each.block.kind for each in placed]
    assert kinds == [Kind.STEM, Kind.SEPARABLE, *[Kind.INVERTED] * 5, Kind.HEAD]
    model = write_block(placed[-1].block, tmp_path / "head.onnx")
    assert [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim] == [1, CLASSES, 24, 32]
