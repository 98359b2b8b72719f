"""What servers are asked to load when heads change is what the repository was filled with, and no instance less."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from narrows.contract.bundle import Bundle, FileEntry, Head, Heads
from narrows.contract.outputs import Output
from narrows.runtime.triton_config import Backend, InstanceKind, fill_repository, model_config, with_heads_of

BUNDLE = Path(__file__).parents[3] / "bundles" / "demo"
SCENE, WEATHER = (Output(name, "scores", "float32", (3,), "raw", ("a", "b", "c")) for name in ("scene", "weather"))


@pytest.fixture(scope="module")
def plain() -> Bundle:
    """With a twin for processors, and no head."""
    bundle = Bundle.open(BUNDLE)
    assert bundle.has_cpu_decoder
    assert not bundle.heads.heads
    return bundle


def headed(bundle: Bundle, *outputs: Output) -> Bundle:
    heads = tuple(Head(output, FileEntry("1" * 64, 1), bundle.manifest.symbols_sha256) for output in outputs)
    return replace(bundle, heads=replace(bundle.heads, heads=heads, merged=FileEntry("0" * 64, 1)))


def as_triton_tells_it(text: str) -> dict[str, Any]:
    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    told: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return told


def known(config: Mapping[str, Any]) -> model_config_pb2.ModelConfig:
    return json_format.ParseDict(dict(config), model_config_pb2.ModelConfig())


@pytest.mark.parametrize(
    "settings",
    [{"kind": InstanceKind.CPU}, {"kind": InstanceKind.GPU}, {"backend": Backend.TENSORRT}],
    ids=["cpu", "gpu", "tensorrt"],
)
def test_it_is_what_the_repository_says_whichever_heads_come_or_go(plain: Bundle, settings: Mapping[str, Any]) -> None:
    """The graph's file too: a server that runs the twin for processors would look for the heads in there for ever."""
    stages = [plain, headed(plain, SCENE), headed(plain, SCENE, WEATHER), headed(plain, WEATHER), plain]
    for before, after in pairwise(stages):
        loaded = as_triton_tells_it(model_config(before, instances=3, **settings))
        exchanged = with_heads_of(loaded, after)
        assert known(exchanged) == known(as_triton_tells_it(model_config(after, instances=3, **settings)))


def test_all_else_of_the_configuration_stays(plain: Bundle) -> None:
    loaded = as_triton_tells_it(model_config(plain, kind=InstanceKind.CPU))
    loaded["parameters"]["reloaded"] = {"string_value": "7"}
    loaded["instance_group"] = [{"count": 5, "kind": "KIND_CPU"}]
    exchanged = with_heads_of(loaded, headed(plain, SCENE))
    assert exchanged["parameters"]["reloaded"] == {"string_value": "7"}
    assert exchanged["instance_group"] == loaded["instance_group"]
    assert "default_model_filename" in loaded, "the configuration that was given is not touched"


def test_the_file_that_it_names_is_in_the_repository(plain: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(plain.folder, tmp_path / "bundle", ignore=shutil.ignore_patterns("heads")))
    (copy / "decoder.heads.onnx").write_bytes(b"joined")
    with_head = replace(headed(plain, SCENE), folder=copy)
    loaded = as_triton_tells_it(model_config(plain, kind=InstanceKind.CPU))
    folder = fill_repository(with_head, tmp_path / "models")
    named = with_heads_of(loaded, with_head)["default_model_filename"] or "model.onnx"
    assert (folder / "1" / named).read_bytes() == b"joined"


def test_a_backend_of_python_keeps_its_file(plain: Bundle) -> None:
    loaded = {"backend": "python", "default_model_filename": "model.py"}
    assert with_heads_of(loaded, headed(plain, SCENE))["default_model_filename"] == "model.py"


def test_no_heads_are_no_parameters(plain: Bundle) -> None:
    loaded = as_triton_tells_it(model_config(headed(plain, SCENE)))
    assert [key for key in loaded["parameters"] if key.startswith("head_")] == ["head_scene"]
    assert not [key for key in with_heads_of(loaded, replace(plain, heads=Heads()))["parameters"] if "scene" in key]
