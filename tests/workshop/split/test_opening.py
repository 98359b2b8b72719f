"""What cannot be split is refused by name, before anything else happens; what can be is understood."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, parser

from narrows.contract.errors import (
    ControlFlow,
    ExternalData,
    NetworkTooLarge,
    NotRunnable,
    OperatorUnknown,
    SeveralInputs,
    ShapeDynamic,
    SplitError,
)
from narrows.models.split.cuts import cut_at, find_cuts
from narrows.models.split.frontier import worthwhile
from narrows.models.split.halves import Runner, take_apart
from narrows.models.split.opening import open_network
from narrows.models.split.reading import MOST_BYTES
from narrows.models.split.whole import open_whole
from tests.workshop.split.networks import LIGHT, RESIDUAL, opened, unmeasured, written

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def refused(text: str, folder: Path) -> None:
    opened(text, folder)


def test_a_branch_is_control_flow(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"])], "then", [], [helper.make_tensor_value_info("r", 1, [1, 4])]
    )
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["yes"], to=onnx.TensorProto.BOOL),
        helper.make_node("If", ["yes"], ["y"], name="choice", then_branch=branch, else_branch=branch),
    ]
    values = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("x", "y")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:])), tmp_path / "if.onnx")
    with pytest.raises(ControlFlow, match=r"choice \(If\)"):
        open_network(tmp_path / "if.onnx")


@pytest.mark.parametrize("operator", ["com.example.Swish", "Swoosh"])
def test_an_operator_that_onnx_does_not_have_is_unknown(operator: str, tmp_path: Path) -> None:
    domains = '"" : 17, "com.example" : 1'
    text = f"<ir_version: 8, opset_import: [{domains}]> g (float[1,4] x) => (float[1,4] y) {{ y = {operator} (x) }}"
    with pytest.raises(OperatorUnknown, match=operator.rpartition(".")[2]):
        opened(text, tmp_path)


def test_an_operator_later_than_the_file_s_version_is_unknown(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 12]> g (float[1,4] x) => (float[1,4] y) { y = HardSwish (x) }'
    with pytest.raises(OperatorUnknown, match="version 12"):
        opened(text, tmp_path)


def test_an_open_dimension_asks_for_a_shape_and_takes_one(tmp_path: Path) -> None:
    path = written(f"{HEAD} g (float[n,3,h,w] x) => (float[n,3,h,w] y) {{ y = Relu (x) }}", tmp_path / "open.onnx")
    with pytest.raises(ShapeDynamic, match=r"nx3xhxw.*--input-shape"):
        open_network(path)
    assert open_network(path, (1, 3, 4, 5)).tensors["y"].shape == (1, 3, 4, 5)
    for wrong in ((1, 4, 4, 5), (3, 4, 5), (1, 3, 0, 5)):
        with pytest.raises(ShapeDynamic, match="none of that kind"):
            open_network(path, wrong)


def of_unknown_rank(value: onnx.ValueInfoProto) -> None:
    value.type.tensor_type.ClearField("shape")


def of_negative_sides(value: onnx.ValueInfoProto) -> None:
    for dim in value.type.tensor_type.shape.dim:
        dim.dim_value = -1


@pytest.mark.parametrize("leave_open", [of_unknown_rank, of_negative_sides])
def test_whatever_leaves_a_side_open_takes_a_shape(
    leave_open: Callable[[onnx.ValueInfoProto], None], tmp_path: Path
) -> None:
    path = changed(tmp_path, lambda model: leave_open(model.graph.input[0]))
    for opening in (open_network, open_whole):
        with pytest.raises(ShapeDynamic, match="say which with --input-shape"):
            opening(path)
        assert opening(path, (1, 3, 8, 8)).input.shape == (1, 3, 8, 8)
        with pytest.raises(ShapeDynamic, match="1x0x8x8 is none of that kind"):
            opening(path, (1, 0, 8, 8))


def test_a_size_that_depends_on_the_picture_is_dynamic(tmp_path: Path) -> None:
    with pytest.raises(ShapeDynamic, match="NonZero"):
        opened(f"{HEAD} g (float[1,4] x) => (int64[2,k] y) {{ y = NonZero (x) }}", tmp_path)
    text = f"""{HEAD} g (float[4] x) => (float[k] y) <int64[1] zero = {{0}}> {{
        most = ReduceMax <keepdims = 1> (x)
        end = Cast <to = 7> (most)
        y = Slice (x, zero, end)
    }}"""
    with pytest.raises(ShapeDynamic, match="Slice"):
        opened(text, tmp_path)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    path = written(RESIDUAL, tmp_path / "inside.onnx")
    onnx.save(onnx.load(path), tmp_path / "outside.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(ExternalData, match="in another file"):
        open_network(tmp_path / "outside.onnx")


def test_more_than_two_gigabytes_are_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # of holes
    with pytest.raises(NetworkTooLarge, match=r"2,147,483,648 bytes"):
        open_network(tmp_path / "large.onnx")


def test_several_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(SeveralInputs, match="left, right"):
        opened(f"{HEAD} g (float[4] left, float[4] right) => (float[4] y) {{ y = Add (left, right) }}", tmp_path)
    with pytest.raises(SeveralInputs, match="none"):
        opened(f"{HEAD} g () => (float[1] y) {{ y = Constant <value_floats = [1.0]> () }}", tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a network", bytes(range(256)) * 9])
def test_other_bytes_are_no_network(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(SplitError, match=r"is no ONNX file"):
        open_network(tmp_path / "x.onnx")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"gone.onnx cannot be read: No such file"):
        open_network(tmp_path / "gone.onnx")


def test_a_graph_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="contradicts itself"):
        opened(RESIDUAL.replace("Add (d, b)", "Add (d, picture)"), tmp_path)


def test_a_tensor_that_nothing_makes_is_named(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="nothing makes ghost, which Add reads"):
        opened(RESIDUAL.replace("Add (d, b)", "Add (d, ghost)"), tmp_path)


def test_constants_are_not_live(tmp_path: Path) -> None:
    network = opened(
        f"""{HEAD} g (float[1,2,4,4] x) => (float[1,2,8,8] y) {{
            two = Constant <value_ints = [2, 2]> ()
            whole = Shape (x)
            begin = Constant <value_ints = [0]> ()
            end = Constant <value_ints = [2]> ()
            front = Slice (whole, begin, end)
            last = Shape <start = 2> (x)
            sides = Mul (last, two)
            sizes = Concat <axis = 0> (front, sides)
            a = Relu (x)
            y = Resize (a, , , sizes)
        }}""",
        tmp_path,
    )
    assert list(network.tensors) == ["x", "a", "y"]
    assert [node.operator for node in network.nodes] == ["Relu", "Resize"]
    assert network.tensors["y"].shape == (1, 2, 8, 8)


def test_what_no_output_needs_is_not_live(tmp_path: Path) -> None:
    network = opened(RESIDUAL.replace("f = Global", "aside = Sigmoid (e)\n  f = Global"), tmp_path)
    assert "aside" not in network.tensors


def test_what_is_asked_for_its_shape_alone_is_not_live(tmp_path: Path) -> None:
    """Left among the nodes it would be a tensor that nobody reads, and no cut could be found beside it."""
    network = opened(
        f"""{HEAD} g (float[1,4,8,8] x) => (float[1,4,4,4] y) {{
            a = Sigmoid (x)
            b = Relu (a)
            small = MaxPool <kernel_shape = [2,2], strides = [2,2]> (b)
            sizes = Shape (small)
            c = Tanh (a)
            d = Resize <mode = "nearest"> (c, , , sizes)
            e = AveragePool <kernel_shape = [2,2], strides = [2,2]> (b)
            y = Add (d, e)
        }}""",
        tmp_path,
    )
    assert [node.operator for node in network.nodes] == ["Sigmoid", "Relu", "Tanh", "Resize", "AveragePool", "Add"]
    assert ("d", "e") in {cut.names for cut in find_cuts(network)}


def test_weights_of_a_network_of_the_wheel_are_constants() -> None:
    network = open_network(LIGHT / "light_squeezenet.onnx")
    assert not [node for node in network.nodes if node.operator == "ConstantOfShape"]
    assert network.nodes[0].weights_bytes == 4 * (64 * 3 * 3 * 3 + 64)
    assert network.nodes[0].macs == 64 * 3 * 3 * 3 * 111 * 111


def test_functions_of_the_file_are_inlined(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
        g (float[1,4] x) => (float[1,4] y) { y = mine.twice (x) }
        <opset_import: ["" : 17], domain: "mine"> twice (a) => (b) { c = Relu (a)  b = Add (c, c) }"""
    onnx.save(parser.parse_model(text), tmp_path / "f.onnx")
    assert [node.operator for node in open_network(tmp_path / "f.onnx").nodes] == ["Relu", "Add"]


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
        g (float[1,4] x) => (float[1,4] y) { y = mine.again (x) }
        <opset_import: ["" : 17, "mine" : 1], domain: "mine"> again (a) => (b) { c = mine.again (a)  b = Relu (c) }"""
    onnx.save(parser.parse_model(text), tmp_path / "f.onnx")
    for opening in (open_network, open_whole):
        with pytest.raises(SplitError, match=r"functions of .*f.onnx cannot be inlined: Cycle"):
            opening(tmp_path / "f.onnx")


def test_what_is_noted_of_quantisation_does_not_matter(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda model: model.graph.quantization_annotation.add(tensor_name="b"))
    network = open_network(path)
    assert take_apart(network, cut_at(network, ["e"])).cut.names == ("e",)


def test_sparse_weights_are_refused_and_served_whole(tmp_path: Path) -> None:
    def make_sparse(model: onnx.ModelProto) -> None:
        weight = next(each for each in model.graph.initializer if each.name == "u")
        model.graph.initializer.remove(weight)
        values, places = helper.make_tensor("u", 1, [2], [1.0, 2.0]), helper.make_tensor("places", 7, [2], [0, 7])
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 5]))

    path = changed(tmp_path, make_sparse)
    with pytest.raises(SplitError, match=r"keeps u as a sparse tensor: .* serve it whole"):
        open_network(path)
    assert open_whole(path).outputs == ("result",)


def test_a_digest_tells_networks_apart(tmp_path: Path) -> None:
    one = opened(RESIDUAL, tmp_path)
    other = opened(RESIDUAL.replace("Relu (c)", "Sigmoid (c)"), tmp_path)
    assert one.digest != other.digest
    assert np.array_equal(one.input.shape, (1, 3, 8, 8))


def changed(folder: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    path = written(RESIDUAL, folder / "changed.onnx")
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def called_the_same(node: onnx.NodeProto) -> None:
    node.name = "same"


TWICE = helper.make_tensor_value_info("result", onnx.TensorProto.FLOAT, [1, 5])


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda model: setattr(model, "ir_version", 99), NotRunnable, "does not run changed.onnx.*IR version"),
        (lambda model: setattr(model.opset_import[0], "version", 99), NotRunnable, "does not run"),
        (
            lambda model: setattr(model.graph.initializer[0], "data_type", 77),
            SplitError,
            "contradicts itself|does not run",
        ),
        (lambda model: setattr(model.graph.initializer[0], "raw_data", b"short"), NotRunnable, "raw_data"),
        (lambda model: list(map(called_the_same, model.graph.node)), NotRunnable, "same"),
        (lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 99), SplitError, "no tensor"),
        (lambda model: model.graph.ClearField("output"), SplitError, "has no output"),
        (lambda model: model.graph.output.append(TWICE), SplitError, "an output twice"),
    ],
)
def test_what_onnx_runtime_does_not_run_is_refused_before_anything_is_made_of_it(
    change: Callable[[onnx.ModelProto], object], kind: type[SplitError], said: str, tmp_path: Path
) -> None:
    path = changed(tmp_path, change)
    for opening in (open_network, open_whole):
        with pytest.raises(kind, match=said) as caught:
            opening(path)
        assert "\n" not in str(caught.value)


def test_an_input_larger_than_any_picture_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = written(RESIDUAL.replace("1,3,8,8", "1,3,100000,100000"), tmp_path / "wide.onnx")
    for opening in (open_network, open_whole):
        with pytest.raises(SplitError, match=r"1x3x100000x100000: a picture has 134,217,728 values at most"):
            opening(path)


def test_a_sequence_is_no_tensor(tmp_path: Path) -> None:
    body = "{ a = Relu (x) s = SequenceConstruct (a, a) y = SequenceAt (s, i) }"
    with pytest.raises(SplitError, match="is a sequence, no tensor: serve it whole"):
        opened(f"{HEAD} g (float[1,4] x) => (float[1,4] y) <int64 i = {{0}}> {body}", tmp_path)


def test_the_input_may_be_an_output_too(tmp_path: Path) -> None:
    picture = helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, None)
    network = open_network(changed(tmp_path, lambda model: model.graph.output.append(picture)))
    assert network.input.shape == (1, 3, 8, 8)
    assert worthwhile(unmeasured(network)) == [], "the picture would cross at each"


def outside_of(attribute: onnx.TensorProto, size_bytes: int) -> None:
    attribute.ClearField("raw_data")
    attribute.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "weights"), ("offset", "0"), ("length", str(size_bytes))):
        entry = attribute.external_data.add()
        entry.key, entry.value = key, value


def test_weights_of_a_constant_node_may_lie_in_another_file_too(tmp_path: Path) -> None:
    path = written(RESIDUAL, tmp_path / "inside.onnx")
    model = onnx.load(path)
    first = model.graph.initializer.pop(0)
    (tmp_path / "weights").write_bytes(first.raw_data)
    outside_of(first, len(first.raw_data))
    model.graph.node.insert(0, helper.make_node("Constant", [], [first.name], value=first))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ExternalData, match="in another file"):
        open_network(path)
    open_whole(path)
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(SplitError, match="which cannot be read"):
        open_whole(path)


def test_how_many_numbers_a_tensor_has_is_a_constant_and_so_is_a_part_of_its_shape(tmp_path: Path) -> None:
    network = opened(
        f"""{HEAD} g (float[1,2,4,4] x) => (float[1,2,4,4] y) {{
            a = Relu (x)
            count = Size (a)
            many = Cast <to = 1> (count)
            b = Div (a, many)
            sides = Shape <start = 1, end = 2> (a)
            floats = Cast <to = 1> (sides)
            most = ReduceMax <keepdims = 0> (floats)
            y = Mul (b, most)
        }}""",
        tmp_path,
    )
    assert list(network.tensors) == ["x", "a", "b", "y"]
    tail = Runner(take_apart(network, cut_at(network, ["b"])).tail)
    np.testing.assert_array_equal(tail({"b": np.ones((1, 2, 4, 4), np.float32)})["y"], 2.0)
    whole = Runner(network.model)({"x": np.full((1, 2, 4, 4), 32.0, np.float32)})
    np.testing.assert_array_equal(whole["y"], 2.0)
