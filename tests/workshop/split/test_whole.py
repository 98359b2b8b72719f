"""What cannot be split is served whole: the picture crosses, and the cloud runs the network as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner

from edge_client.encode.split import SplitHead
from narrows.cli.split import split
from narrows.contract.bundle import SplitBundle
from narrows.contract.errors import (
    ConfigError,
    ControlFlow,
    ExternalData,
    NetworkTooLarge,
    NotRunnable,
    SeveralInputs,
    ShapeDynamic,
    SplitError,
)
from narrows.models.split import reading
from narrows.models.split.evaluation import SplitDecoder
from narrows.models.split.feeding import Feeding, Normalisation
from narrows.models.split.halves import Runner
from narrows.models.split.opening import open_network
from narrows.models.split.whole import open_whole
from narrows.ops.camera_packets import split_camera
from tests.workshop.split.networks import RESIDUAL, written

HEIGHT, WIDTH = 12, 16
SHARES = np.array([1.0, 0.6, 0.3])
"""Of red, green and blue, so that none is taken for another."""
PICTURES = [
    (np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)) * SHARES // (1 + seed)).astype(np.uint8)
    for seed in range(6)
]


def branching(path: Path) -> Path:
    """Says what is greatest in each row of a bright picture, and what is least in those of a dark one."""

    def branch(operator: str) -> onnx.GraphProto:
        made = helper.make_tensor_value_info(operator, TensorProto.FLOAT, [1, 3, HEIGHT])
        node = helper.make_node(operator, ["picture"], [operator], axes=[3], keepdims=0)
        return helper.make_graph([node], operator, [], [made])

    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "dark"], ["bright"]),
        helper.make_node("If", ["bright"], ["y"], then_branch=branch("ReduceMax"), else_branch=branch("ReduceMin")),
    ]
    values = [
        helper.make_tensor_value_info("picture", 1, [1, 3, HEIGHT, WIDTH]),
        helper.make_tensor_value_info("y", 1, [1, 3, HEIGHT]),
    ]
    dark = numpy_helper.from_array(np.array(0.2, np.float32), "dark")
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [dark])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def export(path: Path, folder: Path, *words: str) -> SplitBundle:
    (folder / "pictures").mkdir(exist_ok=True)
    for place, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(folder / "pictures" / f"{place}.png")
    given = [str(path), "--pictures", str(folder / "pictures"), "--out", str(folder / "bundle"), "--whole", *words]
    result = CliRunner().invoke(split, ["export", *given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return SplitBundle.open(folder / "bundle")


def answers(bundle: SplitBundle, picture: NDArray[np.uint8], level: int) -> NDArray[Any]:
    decoder, (_, encode) = SplitDecoder(bundle, 0), split_camera(bundle, 0, level)
    return decoder.outputs(decoder.tensors(encode(picture)))[0]


@pytest.mark.parametrize("bgr", [False, True])
def test_a_network_that_branches_answers_as_it_does_unsplit(tmp_path: Path, bgr: bool) -> None:  # noqa: FBT001
    path = branching(tmp_path / "branching.onnx")
    with pytest.raises(ControlFlow, match=r"serve it whole \(narrows split export --whole\)"):
        open_network(path)
    bundle = export(path, tmp_path, "--bits", "16,8,4", *(["--bgr"] if bgr else []))
    network = open_whole(path)
    feeding, whole = Feeding.of(network, Normalisation(bgr=bgr)), Runner(onnx.load(path))
    (cut,) = bundle.manifest.cuts
    assert [level.precision_bits for level in cut.levels] == [8, 4], "a picture has no more than eight"
    assert (cut.head_macs, cut.head_ms) == (0, 0)
    assert cut.tail_ms > 0
    assert not bundle.tails[0].batched, "which way it goes depends on the whole batch"
    for picture in PICTURES:
        (planes,) = SplitHead(bundle).latent(picture).tensors
        np.testing.assert_array_equal(planes[0], picture.transpose(2, 0, 1))
        wanted = whole({"picture": feeding.feed(picture)})["y"]
        np.testing.assert_allclose(answers(bundle, picture, 0), wanted, atol=1.01 / 255)
        np.testing.assert_allclose(answers(bundle, picture, 1), wanted, atol=18 / 255)


def test_weights_in_another_file_are_brought_in(tmp_path: Path) -> None:
    path = written(RESIDUAL.replace("8,8] picture", f"{HEIGHT},{WIDTH}] picture"), tmp_path / "inside.onnx")
    outside = tmp_path / "outside.onnx"
    onnx.save(onnx.load(path), outside, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(ExternalData, match="--whole"):
        open_network(outside)
    bundle = export(outside, tmp_path, "--bits", "8")
    assert bundle.tails[0].batched
    fed = Feeding.of(open_whole(outside), Normalisation()).feed(PICTURES[0])
    wanted = Runner(onnx.load(path))({"picture": fed})["result"]
    np.testing.assert_allclose(answers(bundle, PICTURES[0], 0), wanted, rtol=0.02, atol=0.02)
    digest = bundle.manifest.network_sha256
    (tmp_path / "weights").write_bytes(bytes((tmp_path / "weights").stat().st_size))
    assert open_whole(outside).digest != digest
    (tmp_path / "weights").unlink()
    with pytest.raises(SplitError, match="another file, which cannot be read"):
        open_whole(outside)


def test_with_its_weights_it_may_be_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(RESIDUAL, tmp_path / "inside.onnx")
    outside = tmp_path / "outside.onnx"
    onnx.save(onnx.load(path), outside, save_as_external_data=True, location="weights", size_threshold=0)
    monkeypatch.setattr(reading, "MOST_BYTES", outside.stat().st_size + 10)
    with pytest.raises(NetworkTooLarge, match="with its weights"):
        open_whole(outside)


def test_what_cannot_be_served_whole_either_is_named(tmp_path: Path) -> None:
    def refused(kind: type[SplitError], match: str, text: str) -> None:
        domains = '"" : 17, "com.example" : 1'
        path = written(f"<ir_version: 8, opset_import: [{domains}]> g {text}", tmp_path / "x.onnx")
        with pytest.raises(kind, match=match):
            open_whole(path)

    refused(ShapeDynamic, "output y of x.onnx is", "(float[1,4] x) => (int64[2,k] y) { y = NonZero (x) }")
    refused(NotRunnable, "does not run x.onnx", "(float[1,4] x) => (float[1,4] y) { y = com.example.Swish (x) }")
    refused(SeveralInputs, "left, right", "(float[4] left, float[4] right) => (float[4] y) { y = Add (left, right) }")
    refused(ShapeDynamic, "--input-shape", "(float[n,4] x) => (float[n,4] y) { y = Relu (x) }")
    refused(
        SplitError,
        "output y of x.onnx is no tensor",
        "(float[1,4] x) => (seq(float[1,4]) y) { y = SequenceConstruct (x) }",
    )


def test_a_cut_is_not_asked_for_at_once(tmp_path: Path) -> None:
    path = written(RESIDUAL, tmp_path / "x.onnx")
    words = ["export", str(path), "--pictures", str(tmp_path), "--out", str(tmp_path / "b"), "--whole", "--cut", "a"]
    with pytest.raises(ConfigError, match="--whole has no cut"):
        CliRunner().invoke(split, words, catch_exceptions=False)


def test_names_of_the_graph_may_be_ours(tmp_path: Path) -> None:
    text = RESIDUAL.replace("8,8] picture", f"{HEIGHT},{WIDTH}] picture")
    model = onnx.load(written(text, tmp_path / "x.onnx"))
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [
                "narrows/placed" if name == "b" else "narrows/step_0" if name == "c" else name for name in names
            ]
    onnx.save(model, tmp_path / "x.onnx")
    bundle = export(tmp_path / "x.onnx", tmp_path, "--bits", "8")
    fed = Feeding.of(open_whole(tmp_path / "x.onnx"), Normalisation()).feed(PICTURES[0])
    wanted = Runner(model)({"picture": fed})["result"]
    np.testing.assert_allclose(answers(bundle, PICTURES[0], 0), wanted, rtol=0.02, atol=0.02)
