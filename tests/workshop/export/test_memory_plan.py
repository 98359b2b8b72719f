"""Activations that live at once, counted by hand on small graphs; a byte an element."""

import onnx
import pytest
from onnx import TensorProto, helper, shape_inference

from narrows.models.export.memory_plan import plan_memory

SHAPE = [1, 2, 4, 4]
ONE = 2 * 4 * 4


def graph(*nodes: tuple[str, list[str], str]) -> onnx.GraphProto:
    """Nodes of one shape, from ``x`` to the last one's result."""
    made = [helper.make_node(kind, given, [name], name=name) for kind, given, name in nodes]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", nodes[-1][2])]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1])
    model = helper.make_model(helper.make_graph(made, "g", ends[:1], ends[1:], [scale]))
    return shape_inference.infer_shapes(model).graph


def test_what_a_step_reads_and_writes_lives_while_it_runs() -> None:
    plan = plan_memory(graph(("Neg", ["x"], "a"), ("Neg", ["a"], "b")))
    assert plan.peak_bytes == 2 * ONE
    assert plan.arena_bytes == 2 * ONE


def test_what_is_read_again_lives_until_then() -> None:
    plan = plan_memory(graph(("Neg", ["x"], "a"), ("Neg", ["a"], "b"), ("Neg", ["b"], "c"), ("Add", ["a", "c"], "d")))
    assert plan.peak_bytes == 3 * ONE
    assert plan.peak_step == "Neg c"


@pytest.mark.parametrize(("again", "planes"), [("x", 3), ("r", 2)])
def test_a_clip_changes_in_place_only_what_nobody_reads_as_it_was(again: str, planes: int) -> None:
    plan = plan_memory(graph(("Relu", ["x"], "r"), ("Add", ["r", again], "b")))
    assert plan.peak_bytes == planes * ONE
    pairs = [("QuantizeLinear", ["x", "scale"], "q"), *(("DequantizeLinear", ["q", "scale"], name) for name in "de")]
    plan = plan_memory(graph(*pairs, ("Relu", ["d"], "r"), ("Add", ["r", again.replace("x", "e")], "b")))
    assert plan.peak_bytes == planes * ONE
