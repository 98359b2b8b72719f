"""What is put at a cut: at first the best linear pair, of any sides, for one tensor or several, floats or int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from narrows.contract.errors import NotTrainable
from narrows.models.bottleneck.pair import Pair, insert_pairs
from narrows.models.bottleneck.pruning import with_outputs
from narrows.models.bottleneck.weights import with_float_weights
from narrows.models.split.cuts import cut_at
from narrows.models.split.halves import Runner, Values
from narrows.models.split.network import Network
from narrows.models.split.opening import open_network
from tests.workshop.bottleneck.networks import int8_network
from tests.workshop.split.networks import RESIDUAL, opened

ODD = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,7,5] picture) => (float[1,2,7,5] result) <float[6,3,3,3] w, float[4,3,1,1] v, float[2,10,1,1] u> {
  a = Conv <pads = [1,1,1,1]> (picture, w)
  b = Conv (picture, v)
  c = Concat <axis = 1> (a, b)
  result = Conv (c, u)
}"""
"""Two tensors of one size cross at (a, b)."""
SIZES = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] picture) => (float[1,2,8,8] result) <float[6,3,3,3] w, float[2,6,1,1] u, float[2,6,1,1] v> {
  a = Conv <pads = [1,1,1,1]> (picture, w)
  small = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a)
  low = Conv (small, v)
  scales = Constant <value = float[4] {1.0, 1.0, 2.0, 2.0}> ()
  large = Resize <mode = "nearest"> (low, , scales)
  direct = Conv (a, u)
  result = Add (large, direct)
}"""
"""Two tensors of two sizes cross at (low, direct)."""


def feeds(network: Network, count: int = 40) -> list[Values]:
    random = np.random.default_rng(1)
    return [{network.input.name: random.random(network.input.shape).astype(np.float32)} for _ in range(count)]


def narrowed(network: Network, folder: Path, pair: Pair, *names: str) -> Network:
    inserted = insert_pairs(network, cut_at(network, names), pair, feeds(network), 1)
    onnx.save(inserted.model, folder / "narrowed.onnx")
    return open_network(folder / "narrowed.onnx")


def missed(network: Network, other: Network) -> float:
    """Squared error of the result over its variance."""
    output = network.outputs[0]
    made, wanted = (
        np.stack([Runner(each.model)(feed)[output] for feed in feeds(network, 10)]) for each in (other, network)
    )
    return float(((made - wanted) ** 2).mean() / wanted.var())


def test_the_new_cut_parts_the_network_and_has_the_pairs_size(tmp_path: Path) -> None:
    network = opened(ODD, tmp_path)
    other = narrowed(network, tmp_path, Pair(5, 2), "a", "b")
    cut = cut_at(other, ["narrow_0"])
    assert (cut.tensors[0].shape, cut.tensors[0].dtype) == ((1, 5, 4, 3), "int8")
    assert other.outputs == network.outputs
    assert other.tensors["result"].shape == (1, 2, 7, 5)


@pytest.mark.parametrize("pair", [Pair(10, 1), Pair(40, 2)], ids=["every channel", "every channel, smaller"])
def test_a_pair_of_every_component_loses_what_rounding_loses(pair: Pair, tmp_path: Path) -> None:
    network = opened(ODD, tmp_path)
    assert missed(network, narrowed(network, tmp_path, pair, "a", "b")) < 0.1


@pytest.mark.parametrize("noise", [0.1, 0.02, 0.004])
def test_rounding_begins_with_the_noise_that_was_asked_for(noise: float, tmp_path: Path) -> None:
    network = opened(ODD, tmp_path)
    lost = missed(network, narrowed(network, tmp_path, Pair(10, noise=noise), "a", "b"))
    assert noise / 5 < lost < 2 * noise


def test_fewer_channels_lose_more_but_keep_what_varies_most(tmp_path: Path) -> None:
    network = opened(ODD, tmp_path)
    losses = [missed(network, narrowed(network, tmp_path, Pair(count), "a", "b")) for count in (1, 3, 10)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[1] < 1


def test_tensors_of_two_sizes_have_a_pair_each(tmp_path: Path) -> None:
    network = opened(SIZES, tmp_path)
    other = narrowed(network, tmp_path, Pair(2), "low", "direct")
    assert [t.shape for t in cut_at(other, ["narrow_0", "narrow_1"]).tensors] == [(1, 2, 4, 4), (1, 2, 8, 8)]
    assert missed(network, other) < 0.1


def test_a_network_in_int8_goes_on_in_int8_behind_the_pair(tmp_path: Path) -> None:
    network = int8_network(tmp_path)
    other = narrowed(network, tmp_path, Pair(12), "hq")
    assert missed(network, other) < 0.1
    makers = [node.operator for node in other.nodes if "hf" in node.outputs]
    (read,) = next(node.inputs for node in other.nodes if "hf" in node.outputs)
    assert makers == ["DequantizeLinear"]
    assert other.nodes[other.maker[read]].operator == "QuantizeLinear"


def test_what_both_sides_make_of_a_tensor_is_made_of_the_decoded_one_behind_the_pair(tmp_path: Path) -> None:
    """A residual network in int8: the head goes on with what it dequantised, the tail adds it."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[1,3,8,8] picture) => (float[1,2,8,8] result) <float[6,3,3,3] w, float[6,6,1,1] v, float[2,6,1,1] u> {
      step = Constant <value = float {0.02}> ()
      zero = Constant <value = int8 {0}> ()
      a = Conv <pads = [1,1,1,1]> (picture, w)
      q = QuantizeLinear (a, step, zero)
      d = DequantizeLinear (q, step, zero)
      b = Conv (d, v)
      bq = QuantizeLinear (b, step, zero)
      bd = DequantizeLinear (bq, step, zero)
      e = Add (bd, d)
      result = Conv (e, u)
    }"""
    network = opened(text, tmp_path)
    floats, _ = with_float_weights(network.model)
    onnx.save(floats, tmp_path / "floats.onnx")
    network = open_network(tmp_path / "floats.onnx")
    cut = cut_at(network, ["q", "bq"])
    assert [network.nodes[place].operator for place in cut.head & cut.tail] == ["DequantizeLinear"]
    other = narrowed(network, tmp_path, Pair(12), "q", "bq")
    assert cut_at(other, ["narrow_0"]).tensors[0].shape == (1, 12, 8, 8)
    assert missed(network, other) < 0.1


def test_a_cut_without_sides_is_refused_by_name(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    with pytest.raises(NotTrainable, match=r"flat is \(1, 4\), not 1 x channels x height x width"):
        insert_pairs(network, cut_at(network, ["flat"]), Pair(2), feeds(network, 2), 1)


def test_a_graph_of_an_old_opset_is_refused_by_name(tmp_path: Path) -> None:
    network = opened(RESIDUAL.replace('"" : 17', '"" : 11'), tmp_path)
    with pytest.raises(NotTrainable, match=r"a network of opset \[11\]: convert it to 13"):
        insert_pairs(network, cut_at(network, ["b"]), Pair(2), feeds(network, 2), 1)


def test_what_the_answer_hangs_on_is_kept_before_what_merely_varies(tmp_path: Path) -> None:
    network = opened(ODD, tmp_path)
    gradients = {"a": np.full((1, 6, 7, 5), 1e-3, np.float32), "b": np.full((1, 4, 7, 5), 1e-3, np.float32)}
    gradients["b"][:, 1] = 1
    cut, errors = cut_at(network, ["a", "b"]), []
    for given in (None, gradients):
        inserted = insert_pairs(network, cut, Pair(1), feeds(network), 1, given)
        runner = Runner(with_outputs(inserted.model, ["b", inserted.decoded["b"]]))
        made = [runner(feed) for feed in feeds(network, 10)]
        errors.append(np.mean([(each["b"] - each[inserted.decoded["b"]])[:, 1] ** 2 for each in made]))
    assert errors[1] < 0.3 * errors[0]
