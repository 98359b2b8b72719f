"""A network's bundle: its graphs are the network's, from the picture on, and its plans code what crosses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from narrows.contract.bundle import SplitBundle
from narrows.contract.codec.tensor_quantiser import plane_shape
from narrows.contract.errors import DatasetError, SplitError
from narrows.models.export.labelling import Labelling
from narrows.models.split.cuts import cut_at, find_cuts
from narrows.models.split.declared_outputs import declared_outputs
from narrows.models.split.export import write_split_bundle
from narrows.models.split.feeding import Feeding, Normalisation
from narrows.models.split.halves import Runner
from narrows.models.split.network import Network, Tensor
from narrows.models.split.opening import open_network
from narrows.models.split.shipping import Classes
from tests.workshop.split.networks import RESIDUAL, light, opened, unmeasured

LABEL = Labelling("small", "1", "CC0", "made by a test")
NORMALISED = Normalisation((10.0, 20.0, 30.0), (50.0, 60.0, 70.0), bgr=True)
PICTURES = [np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8) for seed in range(12)]
FIXED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] picture) => (float[1,5] result) <float[4,3,3,3] w, float[64,5] u> {
  a = Conv <pads = [1,1,1,1], strides = [2,2]> (picture, w)
  b = Relu (a)
  shape = Constant <value = int64[1] {64}> ()
  flat = Reshape (b, shape)
  product = MatMul (flat, u)
  last = Constant <value_ints = [1, 5]> ()
  result = Reshape (product, last)
}"""
WRITTEN_IN = FIXED.replace("int64[1] {64}", "int64[2] {1, 64}")
"""Its batch of 1 is nothing but a side of what is reshaped."""
LABELLED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,8,8] picture) => (int64[1,1,8,8] mask) <float[5,3,3,3] w> {
  a = Conv <pads = [1,1,1,1]> (picture, w)
  b = Relu (a)
  mask = ArgMax <axis = 1> (b)
}"""


def exported(network: Network, folder: Path, *cuts: str, bits: tuple[int, ...] = (8, 4)) -> SplitBundle:
    feeding = Feeding.of(network, NORMALISED)
    chosen = [cut_at(network, names.split("+")) for names in cuts]
    found, classes = unmeasured(network), Classes(("a", "b", "c", "d", "e"))
    return write_split_bundle(found, chosen, feeding, PICTURES, LABEL, classes, folder, bits=bits, say=lambda _: None)


def through(bundle: SplitBundle, cut: int, level: int | None, picture: NDArray[np.uint8]) -> NDArray[Any]:
    """The first output, by the bundle alone; at no level what crosses is not rounded."""
    head = Runner(onnx.load(bundle.head_path(cut)))
    crossed = head({"picture": picture[None]})
    names = [f"tensor_{place}" for place in range(len(bundle.manifest.cuts[cut].tensors))]
    values = {name: crossed[name] for name in names}
    if level is not None:
        for name, plan in zip(names, bundle.plans[cut][level], strict=True):
            shape = plane_shape(values[name].shape)
            symbols = plan.quantiser.symbols(values[name].reshape(shape))
            decoded = plan.coder.decode(plan.coder.encode(symbols), shape)
            values[name] = plan.quantiser.values(decoded).reshape(values[name].shape)
    tail = next(tail for tail in bundle.tails if tail.number == cut)
    return Runner(onnx.load(tail.served_path))(values)[bundle.outputs[0].name]


def test_head_and_tail_are_the_network_from_the_picture_on(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    bundle = exported(network, tmp_path / "bundle", "b", "d+b", "f")
    whole, feeding = Runner(network.model), Feeding.of(network, NORMALISED)
    for picture in PICTURES[:3]:
        wanted = whole({"picture": feeding.feed(picture)})["result"]
        for cut in range(3):
            np.testing.assert_allclose(through(bundle, cut, None, picture), wanted, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(through(bundle, cut, 0, picture), wanted, rtol=0.2, atol=0.3)


def test_the_default_cut_is_that_of_fewest_bytes_and_levels_go_from_fine_to_coarse(tmp_path: Path) -> None:
    bundle = exported(opened(RESIDUAL, tmp_path), tmp_path / "bundle", "b", "f", bits=(4, 16, 8))
    cuts = bundle.manifest.cuts
    assert [cut.name for cut in cuts] == ["f", "b"]
    assert [level.precision_bits for level in cuts[0].levels] == [16, 8, 4]
    assert cuts[1].levels[0].bytes > cuts[1].levels[2].bytes
    assert [cut.head_ms for cut in cuts] == [6.0, 2.0]


def test_scores_keep_the_names_of_their_classes(tmp_path: Path) -> None:
    bundle = exported(opened(RESIDUAL, tmp_path), tmp_path / "bundle", "b")
    assert bundle.outputs[0].kind == "scores"
    assert bundle.outputs[0].classes == ("a", "b", "c", "d", "e")
    assert bundle.manifest.classes == ()


def test_a_tail_takes_batches_unless_its_graph_has_a_batch_of_one_written_into_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    batched = exported(opened(RESIDUAL, tmp_path), tmp_path / "batched", "b")
    fixed = exported(opened(FIXED, tmp_path), tmp_path / "fixed", "b")
    written_in = exported(opened(WRITTEN_IN, tmp_path), tmp_path / "written_in", "b")
    assert written_in.tails[0].batched
    tail, crossed = Runner(onnx.load(written_in.tails[0].served_path)), np.ones((3, 4, 4, 4), np.float32)
    made = tail({"tensor_0": crossed * np.arange(3, dtype=np.float32)[:, None, None, None]})
    answer = made[written_in.outputs[0].name]
    np.testing.assert_allclose(answer, answer[1:2] * np.arange(3)[:, None], rtol=1e-4)
    assert batched.tails[0].batched
    assert not fixed.tails[0].batched
    assert capfd.readouterr().err == "", "a refusal that is expected is none of the user's business"


def test_a_label_map_is_published_as_one(tmp_path: Path) -> None:
    network = opened(LABELLED, tmp_path)
    bundle = exported(network, tmp_path / "bundle", "b")
    assert (bundle.outputs[0].kind, bundle.outputs[0].shape) == ("labels", (8, 8))
    assert bundle.manifest.classes == ("a", "b", "c", "d", "e")
    feeding = Feeding.of(network, NORMALISED)
    wanted = Runner(network.model)({"picture": feeding.feed(PICTURES[0])})["mask"]
    made = through(bundle, 0, None, PICTURES[0])
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, wanted[0])


def test_a_label_map_without_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="name its classes"):
        declared_outputs(opened(LABELLED, tmp_path), ())


@pytest.mark.parametrize(
    ("shape", "kind"), [((1, 7), "scores"), ((1, 7, 1, 1), "scores"), ((1, 9, 6), "boxes"), ((1, 1, 8, 8), "heatmaps")]
)
def test_floats_are_what_their_shape_says(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    network = opened(RESIDUAL, tmp_path)
    shaped = replace(network, tensors={**network.tensors, "result": Tensor("result", shape, "float32")})
    (output,) = declared_outputs(shaped, ())
    assert output.kind == kind


def test_no_two_outputs_get_one_name(tmp_path: Path) -> None:
    names = ("Output.1", "output_1", "output_2")
    network = opened(RESIDUAL, tmp_path)
    tensors = {name: Tensor(name, (1, 5), "float32") for name in names}
    network = replace(network, outputs=names, tensors=dict(network.tensors) | tensors)
    assert [output.name for output in declared_outputs(network, ())] == ["output_1", "output_2", "output_3"]


def test_what_cannot_travel_is_refused_by_name(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    five = replace(network, tensors={**network.tensors, "result": Tensor("result", (1, 2, 3, 4, 5), "float32")})
    with pytest.raises(SplitError, match="heat maps three"):
        declared_outputs(five, ())
    feeding = Feeding.of(network, NORMALISED)
    with pytest.raises(SplitError, match="serve it whole"):
        write_split_bundle(unmeasured(network), [], feeding, PICTURES, LABEL, Classes(), tmp_path, say=lambda _: None)
    cut = cut_at(network, ["b"])
    wide = replace(cut, tensors=(replace(cut.tensors[0], shape=(1, 4, 4, 4096)),))
    with pytest.raises(SplitError, match=r"b is a tensor of shape 1x4x4x4096.* choose another cut"):
        write_split_bundle(
            unmeasured(network), [wide], feeding, PICTURES, LABEL, Classes(), tmp_path, say=lambda _: None
        )
    with pytest.raises(DatasetError, match="1 pictures"):
        write_split_bundle(
            unmeasured(network), [cut], feeding, PICTURES[:1], LABEL, Classes(), tmp_path, say=lambda _: None
        )


def test_a_network_of_the_wheel_is_exported(tmp_path: Path) -> None:
    network = open_network(light("squeezenet", tmp_path))
    small = [c for c in find_cuts(network) if len(c.tensors) == 1 and c.tensors[0].shape[1] <= 64]
    cut = min(small, key=lambda c: c.size_bytes)
    bundle = exported(network, tmp_path / "bundle", "+".join(cut.names), bits=(8,))
    assert bundle.outputs[0].shape == (1000,)
    assert through(bundle, 0, 0, PICTURES[0].repeat(28, 0).repeat(28, 1)).shape == (1, 1000)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("z = Sub (b, b)\n  e = Div (z, z)", "NaN"),
        ("huge = Constant <value_float = 3e38> ()\n z = Mul (b, huge)\n e = Mul (z, huge)", "infin"),
    ],
)
def test_what_is_not_finite_at_calibration_is_refused_and_nothing_written(
    broken: str, said: str, tmp_path: Path
) -> None:
    network = opened(RESIDUAL.replace("e = Add (d, b)", broken), tmp_path)
    for cut in ("b", "e"):
        with pytest.raises(SplitError, match=said), np.errstate(all="ignore"):
            exported(network, tmp_path / "bundle", cut)
    assert not (tmp_path / "bundle").exists()


def test_outputs_without_numbers_or_of_another_dtype_are_named(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    for tensor, said in (
        (Tensor("result", (1, 0, 4), "float32"), r"result is \(1, 0, 4\): it holds no number"),
        (Tensor("result", (1, 4, 4), "object"), r"result is object of \(4, 4\)"),
    ):
        with pytest.raises(SplitError, match=said):
            declared_outputs(replace(network, tensors={**network.tensors, "result": tensor}), ("a", "b"))


def test_another_bundle_takes_the_place_of_one_and_leaves_no_file_of_it(tmp_path: Path) -> None:
    network = opened(RESIDUAL, tmp_path)
    exported(network, tmp_path / "bundle", "b", "f")
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    bundle = exported(network, tmp_path / "bundle", "f")
    left = {path.name for path in (tmp_path / "bundle").iterdir()}
    assert left == {*bundle.manifest.files, "manifest.json", "notes.txt"}
    assert "head1.onnx" not in left


def test_a_tail_that_mixes_the_pictures_of_a_batch_takes_them_one_by_one(tmp_path: Path) -> None:
    mixing = RESIDUAL.replace("e = Add (d, b)", "mean = ReduceMean <axes = [0], keepdims = 1> (d)\n  e = Sub (b, mean)")
    network = opened(mixing, tmp_path)
    feeding, cuts = Feeding.of(network, NORMALISED), [cut_at(network, ["b"])]
    for given in (PICTURES, PICTURES[:2]):
        bundle = write_split_bundle(
            unmeasured(network), cuts, feeding, given, LABEL, Classes(), tmp_path / "bundle", say=lambda _: None
        )
        assert not bundle.tails[0].batched, "it runs with two pictures, and answers otherwise than with each"
