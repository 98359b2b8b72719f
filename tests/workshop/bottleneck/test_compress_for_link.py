"""`narrows split compress`: fewer bytes for the same answers, resumable, and a network that the other commands take."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.contract.errors import ConfigError, CutUnknown, DatasetError, NotTrainable
from narrows.models.bottleneck import training
from narrows.models.bottleneck.compress import compress
from narrows.models.bottleneck.objective import target_of
from narrows.models.bottleneck.settings import Compressed, Request, Settings
from narrows.models.export.labelling import Labelling
from narrows.models.split.cuts import cut_at
from narrows.models.split.export import write_split_bundle
from narrows.models.split.feeding import Feeding, Normalisation
from narrows.models.split.halves import Runner
from narrows.models.split.opening import open_network
from narrows.models.split.shipping import Classes
from tests.workshop.bottleneck.networks import LABELLED, as_constants, int8_network
from tests.workshop.split.networks import RESIDUAL, opened, unmeasured, written

SETTINGS = Settings(("d",), prune=0.2, channels=4, steps=12, batch=2, price=1.0)


def pictures(folder: Path, count: int = 24) -> Path:
    """Blurred noise: neighbours are alike, as in photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(noise).resize((8, 8), Image.Resampling.BICUBIC).save(folder / f"{number:02}.png")
    return folder


def labelled(folder: Path, count: int = 24) -> Path:
    """As ``narrows train`` takes it; brighter halves have another label."""
    pictures(folder / "images/train", count)
    (folder / "labels/train").mkdir(parents=True)
    names = [f"{number:02}" for number in range(count)]
    for name in names:
        grey = np.asarray(Image.fromarray(np.asarray(Image.open(folder / f"images/train/{name}.png"))).convert("L"))  # noqa: TID251
        labels = np.where(grey > 127, 1, 0).astype(np.uint8)
        labels[0, 0] = 4
        Image.fromarray(labels).save(folder / f"labels/train/{name}.png")
    (folder / "train.txt").write_text("\n".join(names))
    classes = {"classes": ["dark", "light", "c", "d", "none"], "ignore_index": 4, "size": [8, 8]}
    (folder / "classes.json").write_text(json.dumps(classes | {"palette": [[i, i, i] for i in range(5)]}))
    return folder


def asked(folder: Path, network: Path, data: Path) -> Request:
    return Request(network, Normalisation(), data, folder / "run", folder / "out.onnx")


def compressed(folder: Path, network: Path, data: Path, settings: Settings) -> Compressed:
    return compress(asked(folder, network, data), settings, lambda _: None)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return written(LABELLED, tmp_path / "small.onnx")


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    return pictures(tmp_path / "pictures")


def test_fewer_bytes_cross_and_the_head_is_smaller(tmp_path: Path, small: Path, shown: Path) -> None:
    found = compressed(tmp_path, small, shown, SETTINGS)
    assert found.cut == ("narrow_0",)
    assert found.bytes < found.bytes_before
    assert found.head_macs < found.head_macs_before
    assert found.pictures == 3
    network = open_network(tmp_path / "out.onnx")
    assert network.tensors["narrow_0"].dtype == "int8"
    assert network.tensors["labels"].shape == (1, 8, 8)


def test_a_file_beside_the_network_is_left_alone(tmp_path: Path, small: Path, shown: Path) -> None:
    (tmp_path / "out.partial").write_text("somebody's own")
    compressed(tmp_path, small, shown, replace(SETTINGS, steps=0))
    assert (tmp_path / "out.partial").read_text() == "somebody's own"


def test_training_brings_the_answers_back(tmp_path: Path, small: Path, shown: Path) -> None:
    settings = replace(SETTINGS, prune=0.6, price=0.0, learning_rate=0.02)
    before = compressed(tmp_path / "before", small, shown, replace(settings, steps=0))
    after = compressed(tmp_path / "after", small, shown, replace(settings, steps=80))
    assert after.agreement > before.agreement


def test_dearer_bits_are_fewer(tmp_path: Path, small: Path, shown: Path) -> None:
    cheap, dear = (
        compressed(tmp_path / str(price), small, shown, replace(SETTINGS, steps=60, learning_rate=0.01, price=price))
        for price in (0.0, 30.0)
    )
    assert dear.bytes < 0.9 * cheap.bytes


def test_labels_are_learned_where_they_are_asked_for(tmp_path: Path, small: Path) -> None:
    """An untrained network knows nothing of light and dark, so what it learns is the labels'."""
    data = labelled(tmp_path / "labelled")
    settings = replace(SETTINGS, learn_from="labels", steps=80, learning_rate=0.02, price=0.0)
    compressed(tmp_path, small, data, settings)
    network = open_network(tmp_path / "out.onnx")
    feeding, right = Feeding.of(network, Normalisation()), []
    for path in sorted((data / "images/train").glob("*.png")):
        picture = np.asarray(Image.open(path))  # noqa: TID251
        made = Runner(network.model)({"picture": feeding.feed(picture)})["labels"][0]
        wanted = np.asarray(Image.open(data / "labels/train" / path.name))  # noqa: TID251
        right.append((made == wanted)[wanted != 4].mean())
    assert np.mean(right) > 0.6


def test_a_label_that_is_no_class_is_named_with_its_file(tmp_path: Path, small: Path) -> None:
    data = labelled(tmp_path / "labelled")
    for path in (data / "labels/train").glob("*.png"):
        values = np.array(Image.open(path))  # noqa: TID251
        values[1, 1] = 9
        Image.fromarray(values).save(path)
    with pytest.raises(DatasetError, match=r"labels/train/\d\d.png has label 9, classes.json names 4"):
        compressed(tmp_path, small, data, replace(SETTINGS, learn_from="labels", steps=1))


def test_a_class_is_learned_from_the_folder_of_its_pictures(tmp_path: Path) -> None:
    network = written(RESIDUAL, tmp_path / "classifier.onnx")
    for name in ("cat", "3"):
        pictures(tmp_path / "data" / name, 6)
    request = replace(asked(tmp_path, network, tmp_path / "data"), classes=("dog", "cat"))
    settings = replace(SETTINGS, cut=("b",), channels=2, prune=0.0, steps=3, learn_from="both")
    assert compress(request, settings, lambda _: None).cut == ("narrow_0",)


class _Killed(BaseException):
    """As SIGKILL: nothing is put in order."""


def test_a_run_that_was_killed_goes_on_to_the_same_network(
    tmp_path: Path, small: Path, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed(tmp_path / "whole", small, shown, SETTINGS)
    monkeypatch.setattr(training, "_SAVED_EVERY_S", 0.0)
    take = training.Training.take

    def killed(self: training.Training, step: int) -> dict[str, float]:
        if step == 5:
            raise _Killed
        return take(self, step)

    monkeypatch.setattr(training.Training, "take", killed)
    with pytest.raises(_Killed):
        compressed(tmp_path / "stopped", small, shown, SETTINGS)
    monkeypatch.setattr(training.Training, "take", take)
    assert not (tmp_path / "stopped/out.onnx").exists()
    told: list[str] = []
    compress(asked(tmp_path / "stopped", small, shown), SETTINGS, told.append)
    assert told[0] == f"resuming {tmp_path / 'stopped/run'} after step 5"
    assert (tmp_path / "stopped/out.onnx").read_bytes() == (tmp_path / "whole/out.onnx").read_bytes()


def test_a_run_folder_of_another_compression_is_refused(tmp_path: Path, small: Path, shown: Path) -> None:
    compressed(tmp_path, small, shown, replace(SETTINGS, steps=0))
    with pytest.raises(ConfigError, match="run was begun with channels 4, now 5"):
        compressed(tmp_path, small, shown, replace(SETTINGS, steps=0, channels=5))


def test_a_run_of_another_input_shape_or_other_classes_is_refused(tmp_path: Path, shown: Path) -> None:
    open_sides = LABELLED.replace("float[1,3,8,8]", "float[1,3,h,w]").replace("uint8[1,8,8]", "uint8[1,h,w]")
    request = asked(tmp_path, written(open_sides, tmp_path / "open.onnx"), shown)
    request = replace(request, input_shape=(1, 3, 8, 8), classes=("a", "b"))
    compress(request, replace(SETTINGS, steps=2), lambda _: None)
    with pytest.raises(ConfigError, match=r"run was begun with classes \['a', 'b'\], now \['b', 'a'\]"):
        compress(replace(request, classes=("b", "a")), replace(SETTINGS, steps=2), lambda _: None)
    with pytest.raises(ConfigError, match=r"run was begun with input_shape \[1, 3, 8, 8\], now \[1, 3, 16, 16\]"):
        compress(replace(request, input_shape=(1, 3, 16, 16)), replace(SETTINGS, steps=2), lambda _: None)


@pytest.mark.parametrize("channels", [0, 4])
def test_a_tensor_whose_name_has_commas_is_put_together_again(channels: int, tmp_path: Path, shown: Path) -> None:
    model = onnx.load(written(LABELLED, tmp_path / "small.onnx"))
    for node in model.graph.node:
        for names in (node.input, node.output):
            renamed = ["f(d,2)" if name == "d" else name for name in names]
            del names[:]
            names.extend(renamed)
    onnx.save(model, tmp_path / "small.onnx")
    settings = replace(SETTINGS, cut=("f(d", "2)"), channels=channels, steps=2)
    found = compressed(tmp_path, tmp_path / "small.onnx", shown, settings)
    assert found.cut == (("narrow_0",) if channels else ("f(d,2)",))


def test_without_a_pair_the_cut_has_fewer_channels(tmp_path: Path, small: Path, shown: Path) -> None:
    found = compressed(tmp_path, small, shown, replace(SETTINGS, channels=0, prune=0.3, bits_weight=1.0, steps=2))
    assert found.cut == ("d",)
    assert open_network(tmp_path / "out.onnx").tensors["d"].shape[1] < 12


def test_a_network_in_int8_is_compressed_and_stays_so(tmp_path: Path, shown: Path) -> None:
    int8_network(tmp_path)
    compressed(tmp_path, tmp_path / "int8.onnx", shown, replace(SETTINGS, cut=("hq",), channels=3, steps=3))
    network = open_network(tmp_path / "out.onnx")
    dtypes = {each.name: each.data_type for each in network.model.graph.initializer}
    assert dtypes["w/whole"] == onnx.TensorProto.INT8
    assert dtypes["b/whole"] == onnx.TensorProto.INT32
    assert cut_at(network, ["narrow_0"]).tensors[0].shape == (1, 3, 8, 8)


def test_weights_that_are_constant_nodes_are_pruned_and_trained_as_others_are(tmp_path: Path, shown: Path) -> None:
    for name in ("initialisers", "nodes"):
        path = written(LABELLED, tmp_path / f"{name}.onnx")
        compressed(tmp_path / name, as_constants(path) if name == "nodes" else path, shown, SETTINGS)
    pairs = [
        {each.name: numpy_helper.to_array(each) for each in onnx.load(tmp_path / name / "out.onnx").graph.initializer}
        for name in ("initialisers", "nodes")
    ]
    for name, values in pairs[0].items():
        np.testing.assert_array_equal(pairs[1][name], values)


def test_a_network_in_int8_may_have_its_scales_in_constant_nodes(tmp_path: Path, shown: Path) -> None:
    int8_network(tmp_path)
    path = as_constants(tmp_path / "int8.onnx")
    compressed(tmp_path, path, shown, replace(SETTINGS, cut=("hq",), channels=3, steps=1))
    dtypes = {each.name: each.data_type for each in open_network(tmp_path / "out.onnx").model.graph.initializer}
    assert dtypes["w/whole"] == onnx.TensorProto.INT8


def test_the_result_is_exported_like_any_network_and_crosses_unchanged_in_8_bits(
    tmp_path: Path, small: Path, shown: Path
) -> None:
    compressed(tmp_path, small, shown, replace(SETTINGS, steps=2))
    network = open_network(tmp_path / "out.onnx")
    feeding = Feeding.of(network, Normalisation())
    seen = [np.asarray(Image.open(path)) for path in sorted(shown.glob("*.png"))]  # noqa: TID251
    bundle = write_split_bundle(
        unmeasured(network), [cut_at(network, ["narrow_0"])], feeding, seen, Labelling("small", "1", "CC0", "a test"),
        Classes(("a", "b", "c", "d")), tmp_path / "bundle", bits=(8, 2), say=lambda _: None,
    )  # fmt: skip
    assert bundle.manifest.cuts[0].tensors[0].dtype == "int8"
    fine, coarse = bundle.manifest.cuts[0].levels
    assert fine.agreement > 0.99
    assert coarse.bytes < fine.bytes


def test_what_is_learned_from_lies_before_the_argmax_and_has_the_rows_of_the_output(tmp_path: Path) -> None:
    for text in (LABELLED, LABELLED.replace("Gather <axis = 1>", "Gather <axis = -2>")):
        target = target_of(opened(text, tmp_path))
        assert (target.tensor, target.decides) == ("logits", True)
        assert target.gathered == ((2, (0, 0, 1, 1, 2, 2, 3, 3)),)


def test_whole_numbers_that_no_argmax_makes_are_nothing_to_learn_from(tmp_path: Path) -> None:
    text = LABELLED.replace("ArgMax <axis = 1, keepdims = 0> (logits)", "Cast <to = 2> (flat)").replace(
        "small =", "c0 = Constant <value = int64[1] {0}> ()\n first = Slice (logits, c0, c1, c1)\n"
        " flat = Squeeze (first, c1)\n small ="
    ).replace("e = Conv", "c1 = Constant <value = int64[1] {1}> ()\n e = Conv")  # fmt: skip
    with pytest.raises(NotTrainable, match="has whole numbers that no ArgMax over channels makes"):
        target_of(opened(text, tmp_path))


def test_ctrl_c_ends_it_and_says_how_to_go_on(
    tmp_path: Path, small: Path, shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: training.Training, __: int) -> dict[str, float]:
        raise KeyboardInterrupt

    out = tmp_path / "out.onnx"
    words = ["split", "compress", str(small), "--cut", "d", "--data", str(shown), "--channels", "4", "--steps", "4"]
    with monkeypatch.context() as patched:
        patched.setattr(training.Training, "take", interrupted)
        ended = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert ended.exit_code == 130
    assert f"stopped; the same command goes on from what {tmp_path / 'out.run'} holds" in ended.stderr
    ended = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert ended.exit_code == 0
    assert "bytes before" in ended.stdout
    assert f"next: narrows split export {out} --cut narrow_0" in ended.stdout


def test_bad_input_is_refused_by_name(tmp_path: Path, small: Path, shown: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CutUnknown, match="nowhere of small do not part it: `narrows split profile` lists cuts"):
        compressed(tmp_path, small, shown, replace(SETTINGS, cut=("nowhere",)))
    with pytest.raises(DatasetError, match="empty has no pictures"):
        compressed(tmp_path, small, tmp_path / "empty", SETTINGS)
    with pytest.raises(DatasetError, match="nowhere is no folder"):
        compressed(tmp_path, small, tmp_path / "nowhere", SETTINGS)
    with pytest.raises(DatasetError, match=r"no labels: .* lies in no folder that is called like a class"):
        compressed(tmp_path, small, shown, replace(SETTINGS, learn_from="labels"))
    with pytest.raises(ConfigError, match="nothing to do"):
        compressed(tmp_path, small, shown, replace(SETTINGS, channels=0, prune=0.0))
    unknown = written(RESIDUAL.replace("b = Relu (a)", "b = Elu (a)"), tmp_path / "elu.onnx")
    with pytest.raises(NotTrainable, match="is a Elu, which is not trained here"):
        compressed(tmp_path, unknown, shown, replace(SETTINGS, cut=("b",)))
    assert not (tmp_path / "run").exists(), "what is refused leaves no run folder"
