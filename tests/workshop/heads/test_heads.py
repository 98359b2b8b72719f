"""Heads joined with a bundle's decoder: one graph, the same masks, and a name for what does not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from narrows.contract.bundle import Bundle, FileEntry, Head
from narrows.contract.bundle.heads import RECORD
from narrows.contract.errors import (
    ConfigError,
    HeadAltered,
    HeadGraphRefused,
    HeadKindUnknown,
    HeadNameTaken,
    HeadOfAnotherBundle,
    OutputIsTheDecoders,
)
from narrows.contract.outputs import Output
from narrows.models.dataset import FolderDataset
from narrows.models.export.write import file_entry
from narrows.models.heads.change import add_head, remove_head
from narrows.models.heads.evaluate import compare
from narrows.models.heads.train import HEAD_GRAPH, HEAD_RECORD, HeadConfig, train_head
from narrows.models.heads.trunk import trunk_tensors
from narrows.models.training.progress import PROGRESS
from narrows.runtime.onnx_runtime import InferenceSession

DEMO = Path(__file__).parents[3] / "bundles" / "demo"
QUIET: Callable[[str], None] = lambda _: None  # noqa: E731 - a word for it
WET = Output("wet", "scores", "float32", (128,), "raw")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """The demo bundle with its decoder alone."""
    folder = Path(shutil.copytree(DEMO, tmp_path / "bundle"))
    (folder / RECORD).unlink(missing_ok=True)
    return Bundle.open(folder)


def graph_of(
    reads: str, answers: str = "wet", opset: int = 20, shape: tuple[int, ...] = (128, 23, 30)
) -> onnx.ModelProto:
    """A head: the mean of what it reads, over height and width."""
    axes = numpy_helper.from_array(np.array([2, 3]), "axes")
    mean = helper.make_node("ReduceMean", [reads, "axes"], ["relu"], keepdims=0, name="mean")
    same = helper.make_node("Identity", ["relu"], [answers])
    given = helper.make_tensor_value_info(reads, TensorProto.FLOAT, ["n", *shape])
    answer = helper.make_tensor_value_info(answers, TensorProto.FLOAT, ["n", shape[0]])
    graph = helper.make_graph([mean, same], "head", [given], [answer], [axes])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def head_in(folder: Path, bundle: Bundle, output: Output = WET, graph: onnx.ModelProto | None = None) -> Path:
    """A head as ``narrows head train`` leaves it."""
    folder.mkdir()
    if graph is None:
        graph = graph_of(trunk_tensors(bundle.decoder_path)[1].name, output.name)
    onnx.save(graph, folder / HEAD_GRAPH)
    entry = file_entry(folder / HEAD_GRAPH)
    head = Head(output, entry, bundle.manifest.symbols_sha256, bundle.decoder_sha256)
    (folder / HEAD_RECORD).write_bytes(head.to_json())
    return folder


def run(bundle: Bundle, path: Path, n: int = 2) -> dict[str, np.ndarray]:
    latent = bundle.manifest.latent.as_tuple()
    symbols = np.random.default_rng(3).integers(-2, 3, (n, *latent), dtype=np.int8)
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {"symbols": symbols, "level": np.zeros((n, 1), np.int32)}), strict=True))


def test_one_graph_answers_with_all_outputs_and_runs_the_trunk_once(bundle: Bundle, tmp_path: Path) -> None:
    alone = run(bundle, bundle.decoder_path)
    added = add_head(bundle, head_in(tmp_path / "head", bundle))
    both = run(added, added.served_path)
    assert (added.id, list(both)) == (bundle.id, ["labels", "wet"])
    np.testing.assert_array_equal(both["labels"], alone["labels"])
    assert both["wet"].shape == (2, 128)
    nodes = [len(onnx.load(path).graph.node) for path in (added.decoder_path, added.served_path)]
    assert nodes[1] == nodes[0] + 2, "nothing of the trunk is there twice"


def test_a_head_goes_and_leaves_the_bundle_as_it_was(bundle: Bundle, tmp_path: Path) -> None:
    before = {path.name for path in bundle.folder.iterdir()}
    first = add_head(bundle, head_in(tmp_path / "one", bundle))
    second = add_head(first, head_in(tmp_path / "two", bundle, replace_name("dry")))
    assert [output.name for output in second.outputs] == ["labels", "wet", "dry"]
    left = remove_head(second, "wet")
    assert list(run(left, left.served_path)) == ["labels", "dry"]
    bare = remove_head(left, "dry")
    assert ({path.name for path in bundle.folder.iterdir()}, bare.heads, bare.id) == (before, bundle.heads, bundle.id)
    with pytest.raises(OutputIsTheDecoders):
        remove_head(bare, "labels")


def replace_name(name: str) -> Output:
    return Output(name, WET.kind, WET.dtype, WET.shape, WET.packing)


def test_the_int8_twin_gets_the_head_too_where_it_has_what_the_head_reads(bundle: Bundle, tmp_path: Path) -> None:
    added = add_head(bundle, head_in(tmp_path / "head", bundle))
    assert added.served_int8_path is not None
    assert list(run(added, added.served_int8_path)) == ["labels", "wet"]


def test_a_second_head_of_one_name_is_refused_unless_it_takes_the_place(bundle: Bundle, tmp_path: Path) -> None:
    added = add_head(bundle, head_in(tmp_path / "one", bundle))
    other = head_in(tmp_path / "two", bundle, graph=graph_of(trunk_tensors(bundle.decoder_path)[1].name))
    with pytest.raises(HeadNameTaken, match="wet already: with --replace"):
        add_head(added, other)
    record = Head.parse((other / HEAD_RECORD).read_bytes())
    (other / HEAD_RECORD).write_bytes(replace(record, provenance="newer").to_json())
    renewed = add_head(added, other, renew=True)
    assert [head.provenance for head in renewed.heads.heads] == ["newer"]
    tensor = trunk_tensors(bundle.decoder_path)[0]
    form = Output("wet", "scores", "float32", (48,), "raw")
    narrow = head_in(tmp_path / "three", bundle, form, graph_of(tensor.name, shape=(48, 23, 30)))
    with pytest.raises(HeadNameTaken, match="another form"):
        add_head(renewed, narrow, renew=True)


def test_the_decoders_own_name_is_taken(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(HeadNameTaken, match="'labels'"):
        add_head(bundle, head_in(tmp_path / "head", bundle, replace_name("labels")))


def test_an_altered_or_missing_graph_is_named(bundle: Bundle, tmp_path: Path) -> None:
    source = head_in(tmp_path / "head", bundle)
    (source / HEAD_GRAPH).write_bytes(b"other")
    with pytest.raises(HeadAltered, match=r"head\.onnx is not the file"):
        add_head(bundle, source)
    (source / HEAD_GRAPH).unlink()
    with pytest.raises(HeadAltered, match=r"head\.onnx is missing"):
        add_head(bundle, source)


@pytest.mark.parametrize("field", ["symbols_sha256", "decoder_sha256"])
def test_a_head_of_another_bundle_is_refused(bundle: Bundle, tmp_path: Path, field: str) -> None:
    source = head_in(tmp_path / "head", bundle)
    record = (
        (source / HEAD_RECORD)
        .read_text()
        .replace(getattr(Head.parse((source / HEAD_RECORD).read_bytes()), field), "e" * 64)
    )
    (source / HEAD_RECORD).write_text(record)
    with pytest.raises(HeadOfAnotherBundle, match="eeeeeeeeeeeeeeee"):
        add_head(bundle, source)


def test_a_kind_that_this_build_does_not_know_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    source = head_in(tmp_path / "head", bundle)
    (source / HEAD_RECORD).write_text((source / HEAD_RECORD).read_text().replace('"scores"', '"depths"'))
    with pytest.raises(HeadKindUnknown, match="depths"):
        add_head(bundle, source)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name: graph_of("picture"), "reads picture; it may read symbols, level and tensors of the decoder"),
        (lambda name: graph_of(name, answers="rain"), "answers rain; it may answer wet alone"),
        (lambda name: graph_of(name, opset=19), "operator set"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(
    bundle: Bundle, tmp_path: Path, change: Callable[[str], onnx.ModelProto], words: str
) -> None:
    source = head_in(tmp_path / "head", bundle, graph=change(trunk_tensors(bundle.decoder_path)[1].name))
    with pytest.raises(HeadGraphRefused, match=words):
        add_head(bundle, source)
    assert not (bundle.folder / RECORD).exists(), "nothing was listed"


def test_answers_of_another_form_than_declared_are_refused_before_anything_is_listed(
    bundle: Bundle, tmp_path: Path
) -> None:
    source = head_in(tmp_path / "head", bundle, Output("wet", "scores", "float32", (3,), "raw"))
    with pytest.raises(HeadGraphRefused, match=r"answers float32 \(1, 128\) for 1 frames"):
        add_head(bundle, source)
    assert not (bundle.folder / RECORD).exists()


def test_bytes_that_are_no_graph_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    source = head_in(tmp_path / "head", bundle)
    (source / HEAD_GRAPH).write_bytes(b"no graph")
    entry = FileEntry(file_entry(source / HEAD_GRAPH).sha256, 8)
    head = replace(Head.parse((source / HEAD_RECORD).read_bytes()), file=entry)
    (source / HEAD_RECORD).write_bytes(head.to_json())
    with pytest.raises(HeadGraphRefused, match="no ONNX graph"):
        add_head(bundle, source)


@pytest.fixture
def data(tmp_path: Path) -> FolderDataset:
    """Two frames, dark above and light below: a question that the trunk can answer."""
    root = tmp_path / "data"
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    for index in range(2):
        picture = np.zeros((360, 480, 3), np.uint8)
        picture[150 + 60 * index :] = 220
        labels = (picture[:, :, 0] > 0).astype(np.uint8)
        Image.fromarray(picture).save(root / f"images/train/f{index}.png")
        Image.fromarray(labels).save(root / f"labels/train/f{index}.png")
    (root / "train.txt").write_text("f0\nf1\n")
    (root / "classes.json").write_text(
        '{"classes": ["dark", "light", "ignored"], "ignore_index": 2, "size": [480, 360],'
        ' "palette": [[0, 0, 0], [255, 255, 255], [0, 0, 0]]}'
    )
    return FolderDataset.open(root, "train")


def test_a_head_is_trained_stopped_taken_up_again_and_added(
    bundle: Bundle, data: FolderDataset, tmp_path: Path
) -> None:
    folder, config = tmp_path / "run", HeadConfig("light", width=8, epochs=2, points=400, batch=256)
    train_head(bundle, data, config, folder, QUIET)
    said: list[str] = []
    head = train_head(bundle, data, replace(config, epochs=6), folder, said.append)
    assert [line.partition("  ")[0] for line in said] == [
        "resuming after epoch 2",
        *(f"epoch {n}/6" for n in (3, 4, 5, 6)),
    ]
    assert len((folder / PROGRESS).read_text().splitlines()) == 6
    assert head.output.classes == ("dark", "light")
    rows = compare(bundle, head, folder / HEAD_GRAPH, data)
    assert len(rows) == len(bundle.gains)
    assert rows[0].agreement > 0.85  # half of the pixels are dark
    added = add_head(bundle, folder)
    assert run(added, added.served_path)["light"].shape == (2, 360, 480)
    with pytest.raises(ConfigError, match="was begun with width 8, now 9"):
        train_head(bundle, data, replace(config, width=9), folder, QUIET)
