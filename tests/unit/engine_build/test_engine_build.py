"""Which engine is built, what it is called, and what becomes of a model without one."""

from dataclasses import replace
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.runtime.triton_config import fill_repository
from orchestrator.engine_build.plan import BuildMachine, EngineKey, shapes_of, trtexec_arguments, version_in, why_none
from orchestrator.engine_build.repository import fill

ROOT = Path(__file__).parents[3]
MACHINE = BuildMachine("100500", "NVIDIA L4, 8.9")
KEY = EngineKey("decoder_00000000000000aa", "5e", "100500", "NVIDIA L4, 8.9", "fp16", "symbols:8x48x23x30,level:8x1")


class Builder:
    """Stands where trtexec would, and writes what it was asked to."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure, self.asked = failure, list[list[str]]()

    def __call__(self, options: list[str]) -> str | None:
        self.asked.append(options)
        if self.failure is None:
            (path,) = (each.partition("=")[2] for each in options if each.startswith("--saveEngine="))
            Path(path).write_bytes(b"engine")
        return self.failure


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "engines").mkdir()
    return fill_repository(Bundle.open(ROOT / "bundles" / "demo"), tmp_path / "models")


def _fill(model: Path, machine: BuildMachine, builder: Builder, precision: str = "fp16") -> list[str]:
    return list(fill(model.parent, model.parents[1] / "engines", machine, precision, builder))


@pytest.mark.parametrize("field", ["model", "graph", "tensorrt", "gpu", "precision", "shapes"])
def test_an_engine_is_good_for_one_key_alone(field: str) -> None:
    assert replace(KEY, **{field: "other"}).file_name != KEY.file_name == replace(KEY).file_name


def test_an_engine_is_built_once_and_serves(model: Path) -> None:
    builder = Builder()
    for _ in range(2):
        (line,) = _fill(model, MACHINE, builder)
        fill_repository(Bundle.open(ROOT / "bundles" / "demo"), model.parent)  # as `models` does at the next start
    assert line == f"{model.name}: TensorRT 100500, fp16, on NVIDIA L4, 8.9"
    assert len(builder.asked) == 1
    _fill(model, MACHINE, builder)
    assert (model / "1" / "model.plan").read_bytes() == b"engine"
    assert 'backend: "tensorrt"' in (model / "config.pbtxt").read_text()
    _fill(model, replace(MACHINE, tensorrt="100600"), builder)
    assert len(builder.asked) == 2


@pytest.mark.parametrize(
    ("machine", "precision", "why"),
    [
        (replace(MACHINE, gpu=None), "fp16", "there is no GPU"),
        (replace(MACHINE, tensorrt=None), "fp16", "no trtexec"),
        (MACHINE, "none", "PRECISION is none"),
        (MACHINE, "int3", "one of int8, fp16, fp32, none"),
    ],
)
def test_without_an_engine_onnx_runtime_serves_and_the_log_says_why(
    model: Path, machine: BuildMachine, precision: str, why: str
) -> None:
    builder = Builder()
    (line,) = _fill(model, machine, builder, precision)
    assert why in line
    assert "ONNX Runtime serves it" in line
    assert builder.asked == []
    assert 'backend: "onnxruntime"' in (model / "config.pbtxt").read_text()


def test_an_int8_engine_is_built_from_the_int8_graph(model: Path) -> None:
    builder = Builder()
    for _ in range(2):
        (line,) = _fill(model, MACHINE, builder, "int8")
    assert line == f"{model.name}: TensorRT 100500, int8, on NVIDIA L4, 8.9"
    (options,) = builder.asked
    assert f"--onnx={model / '1' / 'model.int8.onnx'}" in options
    assert {"--int8", "--fp16"} <= set(options)
    assert not [option for option in options if option.startswith("--calib")]


def test_another_int8_graph_under_the_same_id_is_another_engine(model: Path) -> None:
    builder = Builder()
    _fill(model, MACHINE, builder, "int8")
    (model / "1" / "model.int8.onnx").write_bytes(b"quantised anew")
    _fill(model, MACHINE, builder, "int8")
    assert len(builder.asked) == 2


def test_a_bundle_without_an_int8_graph_gets_fp16_and_the_log_says_why(model: Path) -> None:
    (model / "1" / "model.int8.onnx").unlink()
    builder = Builder()
    why, line = _fill(model, MACHINE, builder, "int8")
    assert "no INT8 engine, FP16 is tried: the bundle has no int8 decoder" in why
    assert line == f"{model.name}: TensorRT 100500, fp16, on NVIDIA L4, 8.9"
    assert [("--int8" in options, "--fp16" in options) for options in builder.asked] == [(False, True)]


def test_where_int8_cannot_be_built_fp16_is_tried_and_then_onnx_runtime_serves(model: Path) -> None:
    builder = Builder("trtexec ended with 1: [E] unsupported")
    why, line = _fill(model, MACHINE, builder, "int8")
    assert why.endswith("no INT8 engine, FP16 is tried: trtexec ended with 1: [E] unsupported")
    assert "ONNX Runtime serves it" in line
    assert len(builder.asked) == 2
    assert list((model.parents[1] / "engines").iterdir()) == []


def test_a_failed_build_leaves_nothing_behind(model: Path) -> None:
    (line,) = _fill(model, MACHINE, Builder("trtexec ended with 1: [E] unsupported"))
    assert "ONNX Runtime serves it: trtexec ended with 1: [E] unsupported" in line
    assert list((model.parents[1] / "engines").iterdir()) == []
    assert not (model / "1" / "model.plan").exists()


def test_trtexec_is_given_the_shapes_that_triton_batches_to(model: Path) -> None:
    shapes = shapes_of((model / "config.pbtxt").read_text())
    assert shapes == (
        "symbols:1x48x23x30,level:1x1",
        "symbols:4x48x23x30,level:4x1",
        "symbols:8x48x23x30,level:8x1",
    )
    assert "--fp16" in trtexec_arguments("a.onnx", "a.plan", shapes, "fp16")
    assert "--fp16" not in trtexec_arguments("a.onnx", "a.plan", shapes, "fp32")
    with pytest.raises(ValueError, match="narrows bundle install"):
        shapes_of("name: 1")


def test_the_version_is_read_from_what_trtexec_prints() -> None:
    assert version_in("&&&& RUNNING TensorRT.trtexec [TensorRT v100500] # trtexec --help") == "100500"
    assert version_in("no such thing") is None
    assert why_none(MACHINE, "fp16") is None
