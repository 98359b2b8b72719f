"""Channels that go together go together, what costs most for what it matters goes first, the rest stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from narrows.models.bottleneck.channels import prunable_spaces, without_channels
from narrows.models.bottleneck.objective import target_of
from narrows.models.bottleneck.pruning import Pruning, cut_out, prune
from narrows.models.split.cuts import cut_at
from narrows.models.split.halves import Runner, Values
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network
from tests.workshop.bottleneck.networks import LABELLED
from tests.workshop.split.networks import opened

SUMMED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] picture) => (float[1,6,4,4] result)
<float[16,3,3,3] w, float[16] wb, float[24,16,1,1] e, float[24,1,3,3] d, float[24] db, float[16,24,1,1] p,
 float[1,16,1,1] scale, float[6,16,1,1] last> {
  a = Conv <pads = [1,1,1,1], strides = [2,2]> (picture, w, wb)
  b = Relu (a)
  c = Conv (b, e)
  f = Conv <pads = [1,1,1,1], group = 24> (c, d, db)
  h = Relu (f)
  i = Conv (h, p)
  j = Add (i, b)
  k = Mul (j, scale)
  result = Conv (k, last)
}"""
"""b ─┬► expand c ─► depthwise f ─► project i ─► + j ─► scaled k, the cut, so a, b, i, j and k go together."""
JOINED = SUMMED.replace("k = Mul (j, scale)", "k = Concat <axis = 1> (j, b)").replace("last> {", "unused> {").replace(
    "result = Conv (k, last)", "result = Conv (k, twice)"
).replace("float[6,16,1,1] unused", "float[6,32,1,1] twice").replace("float[1,16,1,1] scale, ", "")  # fmt: skip
FEEDS: list[Values] = [
    {"picture": np.random.default_rng(seed).random((1, 3, 8, 8)).astype(np.float32)} for seed in range(4)
]


def shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    return {each.name: tuple(each.dims) for each in model.graph.initializer}


def pruned(network: Network, share: float, bits_weight: float) -> onnx.ModelProto:
    cut, how = cut_at(network, ["k"]), Pruning(share, bits_weight)
    return prune(network, cut, FEEDS, how, target_of(network), {})


def silenced(network: Network, weights: dict[str, tuple[int, ...]]) -> Network:
    """These rows of weights are zero."""
    for each in network.model.graph.initializer:
        if each.name in weights:
            values = numpy_helper.to_array(each).copy()
            values[list(weights[each.name])] = 0
            each.CopyFrom(numpy_helper.from_array(values, each.name))
    return network


def test_channels_that_are_summed_go_together_and_the_hidden_ones_by_themselves(tmp_path: Path) -> None:
    network = opened(SUMMED, tmp_path)
    trunk, hidden = prunable_spaces(network, cut_at(network, ["k"]))
    assert set(trunk.tensors) == {"a", "b", "i", "j", "k"}
    assert set(hidden.tensors) == {"c", "f", "h"}
    assert sorted(hidden.slices) == [("d", 0), ("db", 0), ("e", 0), ("p", 1)]
    assert sorted(trunk.slices) == [("e", 1), ("last", 1), ("p", 0), ("scale", 1), ("w", 0), ("wb", 0)]


def test_what_is_joined_stays_whole(tmp_path: Path) -> None:
    network = opened(JOINED, tmp_path)
    (hidden,) = prunable_spaces(network, cut_at(network, ["k"]))
    assert set(hidden.tensors) == {"c", "f", "h"}


def test_what_is_resized_to_a_size_that_names_the_channels_stays_whole(tmp_path: Path) -> None:
    resized = """<ir_version: 8, opset_import: ["" : 18]>
    g (float[1,3,8,8] picture) => (float[1,6,16,16] result) <float[32,3,3,3] w, float[32,32,1,1] v, float[6,32,1,1] u> {
      a = Conv <pads = [1,1,1,1]> (picture, w)
      all = Constant <value_ints = [1, 32, 16, 16]> ()
      large = Resize <mode = "nearest"> (a, , , all)
      b = Conv (large, v)
      k = Relu (b)
      result = Conv (k, u)
    }"""
    spaces = {}
    for text in (resized, resized.replace("[1, 32, 16, 16]", "[16, 16]").replace("<mode", "<axes = [2,3], mode")):
        network = opened(text, tmp_path)
        spaces[text] = [space.tensors for space in prunable_spaces(network, cut_at(network, ["k"]))]
    assert list(spaces.values()) == [[["b", "k"]], [["a", "large"], ["b", "k"]]]
    model = pruned(opened(resized, tmp_path), 0.5, 0.0)
    assert Runner(model)(FEEDS[0])["result"].shape == (1, 6, 16, 16)


def test_what_lies_behind_the_cut_stays_whole(tmp_path: Path) -> None:
    network = opened(SUMMED, tmp_path)
    assert prunable_spaces(network, cut_at(network, ["b"])) == []


def test_weights_that_two_nodes_share_stay_whole(tmp_path: Path) -> None:
    shared = LABELLED.replace("e = Conv (d, u)", "d2 = Conv <pads = [1,1,1,1]> (d, v)\n e = Conv (d2, u)")
    network = opened(shared, tmp_path)
    spaces = prunable_spaces(network, cut_at(network, ["d2"]))
    assert [space.slices for space in spaces if ("v", 0) in space.slices or ("v", 1) in space.slices] == []


def test_without_silent_channels_a_network_answers_as_before(tmp_path: Path) -> None:
    silent = (1, 2, 5, 9, 11, 14, 17, 20)
    network = silenced(opened(SUMMED, tmp_path), {"e": silent, "d": silent, "db": silent})
    spaces = prunable_spaces(network, cut_at(network, ["k"]))
    kept = np.array([place for place in range(24) if place not in {2, 9}])
    smaller = without_channels(network, {1: kept}, spaces)
    assert shapes(smaller)["d"] == (22, 1, 3, 3)
    for feed in FEEDS:
        wanted, made = (Runner(model)(feed)["result"] for model in (network.model, smaller))
        np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-5)


def test_silent_channels_go_first(tmp_path: Path) -> None:
    silent = (1, 2, 5, 9, 11, 14, 17, 20)
    network = silenced(opened(SUMMED, tmp_path), {"e": silent, "d": silent, "db": silent})
    cut = cut_at(network, ["k"])
    a_channel = prunable_spaces(network, cut)[1].macs(network, cut) / cut.head_macs
    smaller = pruned(network, 7.9 * a_channel, 0.0)
    assert shapes(smaller)["d"] == (16, 1, 3, 3)
    for feed in FEEDS:
        wanted, made = (Runner(model)(feed)["result"] for model in (network.model, smaller))
        np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-5)


def test_where_bits_alone_cost_the_cuts_channels_go_and_no_others(tmp_path: Path) -> None:
    network = opened(SUMMED, tmp_path)
    smaller = shapes(pruned(network, 0.4, 1.0))
    assert smaller["last"][1] < 16
    assert smaller["scale"] == (1, smaller["last"][1], 1, 1)
    assert smaller["d"] == (24, 1, 3, 3)


def test_a_cut_of_a_vector_is_one_of_which_no_channel_goes(tmp_path: Path) -> None:
    text = SUMMED.replace(
        "result = Conv (k, last)", "m = GlobalAveragePool (k)\n v = Flatten (m)\n result = MatMul (v, last)"
    )
    text = text.replace("float[6,16,1,1] last", "float[16,6] last").replace(
        "float[1,6,4,4] result", "float[1,6] result"
    )
    network = opened(text, tmp_path)
    cut = cut_at(network, ["v"])
    model = prune(network, cut, FEEDS, Pruning(0.3, 0.3), target_of(network), {})
    assert shapes(model)["e"][0] < 24
    assert shapes(model)["last"] == (16, 6)


def test_where_work_alone_costs_as_much_of_it_goes_as_was_asked_for(tmp_path: Path) -> None:
    network = opened(SUMMED, tmp_path)
    cut = cut_at(network, ["k"])
    onnx.save(pruned(network, 0.2, 0.0), tmp_path / "smaller.onnx")
    smaller = open_network(tmp_path / "smaller.onnx")
    assert 0.7 < cut_at(smaller, ["k"]).head_macs / cut.head_macs < 0.85
    assert smaller.tensors["result"].shape == (1, 6, 4, 4)


def test_a_layer_keeps_its_last_channels(tmp_path: Path) -> None:
    network = opened(SUMMED, tmp_path)
    smaller = shapes(pruned(network, 0.99, 0.3))
    assert (smaller["d"][0], smaller["w"][0]) == (8, 8)


def test_what_a_channel_passes_on_with_every_picture_stays(tmp_path: Path) -> None:
    """Of channels that do not vary nothing is lost: their readers' biases have what they gave."""
    text = SUMMED.replace("i = Conv (h, p)", "i = Conv (h, p, pb)").replace("p,\n", "p, float[16] pb,\n")
    network = silenced(opened(text, tmp_path), {"e": (2, 9), "d": (2, 9)})
    for each in network.model.graph.initializer:
        if each.name == "db":
            values = numpy_helper.to_array(each).copy()
            values[[2, 9]] = 3
            each.CopyFrom(numpy_helper.from_array(values, "db"))
    spaces = prunable_spaces(network, cut_at(network, ["k"]))
    smaller = cut_out(network, spaces, {1: np.setdiff1d(np.arange(24), [2, 9])}, FEEDS)
    assert shapes(smaller)["d"] == (22, 1, 3, 3)
    for feed in FEEDS:
        wanted, made = (Runner(model)(feed)["result"] for model in (network.model, smaller))
        np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-4)
