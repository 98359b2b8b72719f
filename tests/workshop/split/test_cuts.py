"""Every tensor has its cheapest cut, and every cut is one."""

import random
from itertools import combinations
from pathlib import Path

import onnx
import pytest

from narrows.contract.errors import CutUnknown
from narrows.models.split.cuts import cut_at, find_cuts
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network
from tests.workshop.split.networks import LIGHT, REAL, RESIDUAL, opened, written


def cuts_of(network: Network) -> set[tuple[str, ...]]:
    return {cut.names for cut in find_cuts(network)}


def test_a_chain_is_cut_at_each_tensor_and_a_branch_at_both(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    assert cuts_of(network) == {("a",), ("b",), ("b", "c"), ("b", "d"), ("e",), ("f",), ("flat",)}


def test_a_tensor_that_several_read_crosses_once(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    cut = next(cut for cut in find_cuts(network) if cut.names == ("b",))
    assert cut.size_bytes == 4 * 4 * 4 * 4
    assert cut.bytes_at(6) == 4 * 4 * 4 * 6 // 8


def test_a_cut_says_what_its_head_computes(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    by_names = {cut.names: cut for cut in find_cuts(network)}
    assert by_names["a",].head_macs == 4 * 4 * 4 * 27
    assert by_names["b", "c"].head == {0, 1, 2}


def test_an_output_on_the_way_crosses_with_what_follows(tmp_path: Path) -> None:
    text = RESIDUAL.replace("=> (float[1,5] result)", "=> (float[1,5] result, float[1,4,4,4] c)")
    assert ("c", "d") in cuts_of(opened(text, tmp_path)) or ("b", "c", "d") in cuts_of(opened(text, tmp_path))
    assert all("c" in names for names in cuts_of(opened(text, tmp_path)) if {"d", "e", "f"}.intersection(names))


def test_the_picture_itself_crosses_where_the_tail_reads_it(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,4] x) => (float[1,4] y) {
        a = Relu (x)  b = Sigmoid (a)  y = Add (b, x) }"""
    assert cuts_of(opened(text, tmp_path)) == {("x", "a"), ("x", "b")}


def random_network(seed: int, folder: Path) -> Network:
    """Up to nine nodes of one or two inputs, of sizes that differ."""
    chance = random.Random(seed)
    lines: list[str] = []
    loose: set[str] = set()
    sizes = {"x": 4}
    for number in range(chance.randint(4, 9)):
        first, second = chance.choice(list(sizes)), chance.choice(list(sizes))
        name = f"t{number}"
        if chance.random() < 0.4:
            lines.append(f"{name} = Relu ({first})")
            sizes[name] = sizes[first]
            loose -= {first}
        else:
            lines.append(f"{name} = Concat <axis = 0> ({first}, {second})")
            sizes[name] = sizes[first] + sizes[second]
            loose -= {first, second}
        if chance.random() < 0.3 and sizes[name] % 2 == 0:
            lines.append(f"h{number} = Slice ({name}, zero, two)")
            sizes[f"h{number}"] = 2
            name = f"h{number}"
        loose |= {name}
    lines.append(f"y = Concat <axis = 0> ({', '.join(sorted(loose))})")
    weights = "<int64[1] zero = {0}, int64[1] two = {2}>"
    return opened(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[n] y) {weights} {{ {" ".join(lines)} }}',
        folder,
    )


def handed_over(network: Network, head: frozenset[int]) -> set[str]:
    """What nodes that need nothing of the others give to them, or to the result."""
    return {
        name
        for name in network.tensors
        if (name not in network.maker or network.maker[name] in head)
        and (name in network.outputs or any(reader not in head for reader in network.readers[name]))
    }


@pytest.mark.parametrize("seed", range(40))
def test_no_other_cut_through_a_tensor_has_fewer_bytes(seed: int, tmp_path: Path) -> None:
    network = random_network(seed, tmp_path)
    places = range(len(network.nodes))
    best: dict[str, int] = {}
    for size in range(1, len(network.nodes)):
        for chosen in combinations(places, size):
            head = frozenset(chosen)
            if any(network.needed(network.nodes[place].inputs)[0] - head for place in head):
                continue  # the head needs something of the tail
            names = handed_over(network, head)
            total = sum(network.tensors[name].size_bytes for name in names)
            for name in names - {network.input.name}:
                best[name] = min(best.get(name, total), total)
    found: dict[str, int] = {}
    for cut in find_cuts(network):
        assert cut_at(network, cut.names) == cut
        for name in cut.names:
            found[name] = min(found.get(name, cut.size_bytes), cut.size_bytes)
    assert best
    assert all(found[name] <= size_bytes for name, size_bytes in best.items())


@pytest.mark.parametrize("name", [path.stem for path in sorted(LIGHT.glob("*.onnx"))])
def test_every_network_of_the_wheel_has_cuts_and_each_parts_it(name: str) -> None:
    network = open_network(LIGHT / f"{name}.onnx")
    cuts = find_cuts(network)
    assert len({cut.names for cut in cuts}) == len(cuts)
    assert all(cut_at(network, cut.names) == cut for cut in cuts)
    middle = [cut for cut in cuts if 0.2 <= cut.head_macs / network.macs <= 0.8]
    assert middle


def test_a_nested_u_net_has_three_single_tensor_cuts_and_cheaper_ones_of_several() -> None:
    network = REAL["saliency"].opened()
    cuts = find_cuts(network)
    single = [cut for cut in cuts if len(cut.tensors) == 1]
    assert len(single) == 3
    assert max(len(cut.tensors) for cut in cuts) > 5


def test_the_detector_has_as_many_single_tensor_cuts_as_were_counted() -> None:
    cuts = find_cuts(REAL["detector"].opened())
    assert sum(len(cut.tensors) == 1 for cut in cuts) == 23


def test_of_a_dequantised_tensor_the_int8_one_crosses_and_both_sides_dequantise_it() -> None:
    network = REAL["street encoder"].opened()
    cut = next(cut for cut in find_cuts(network) if cut.head & cut.tail)
    twice = {network.nodes[place].operator for place in cut.head & cut.tail}
    assert twice == {"DequantizeLinear"}


def test_a_chain_of_single_values_is_followed_back_before_its_block(tmp_path: Path) -> None:
    """A quantised tensor and its floats are cuts by themselves; the block behind them reads the floats twice."""
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,8,8] x) => (float[1,6,8,8] y)
      <float[6,3,1,1] w, float[6,6,1,1] v, float scale = {0.1}, int8 zero = {0}> {
        a = Conv (x, w)
        q = QuantizeLinear (a, scale, zero)
        f = DequantizeLinear (q, scale, zero)
        b = Conv (f, v)
        c = Relu (b)
        y = Add (c, f) }"""
    assert cuts_of(opened(text, tmp_path)) >= {("a",), ("q",), ("f",), ("q", "b"), ("q", "c")}


def test_tensors_that_do_not_part_the_network_are_refused(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    for names in (("c",), ("d", "f"), ("result",), ("picture",), ("nobody",)):
        with pytest.raises(CutUnknown, match=f"{', '.join(names)} of small do not part it"):
            cut_at(network, names)


def test_a_tensor_that_the_tail_makes_again_does_not_cross(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 18]> g (float[1,4] x) => (float[1,2] y) {
        a = Relu (x)  p, q = Split <axis = 1, num_outputs = 2> (a)  r = Sigmoid (p)  y = Add (r, q) }"""
    network = opened(text, tmp_path)
    assert cuts_of(network) == {("a",), ("p", "q"), ("q", "r")}
    with pytest.raises(CutUnknown, match="a, p of small do not part it"):
        cut_at(network, ["a", "p"])


def test_a_tensor_s_name_may_have_commas_in_it(tmp_path: Path) -> None:
    model = onnx.load(written(RESIDUAL, tmp_path / "small.onnx"))
    for node in model.graph.node:
        for names in (node.input, node.output):
            renamed = [{"b": "relu,1", "d": "d, e"}.get(name, name) for name in names]
            del names[:]
            names.extend(renamed)
    onnx.save(model, tmp_path / "commas.onnx")
    network = open_network(tmp_path / "commas.onnx")
    assert cut_at(network, ["relu", "1"]).names == cut_at(network, ["relu,1"]).names == ("relu,1",)
    assert set(cut_at(network, ["relu", "1", "d", "e"]).names) == {"relu,1", "d, e"}
    assert cut_at(network, ["e"]).names == ("e",), "a name of its own"
    with pytest.raises(CutUnknown, match="relu, 2 of"):
        cut_at(network, ["relu", "2"])
