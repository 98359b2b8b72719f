import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import np_to_triton_dtype

from narrows.contract.bundle import Bundle, FileEntry, Heads
from narrows.contract.bundle.heads import DECODER_HEADS
from narrows.contract.outputs import DTYPES, Output
from narrows.runtime.triton_config import DATA_TYPES, Backend, InstanceKind, fill_repository, model_config, model_name

BUNDLE = Path(__file__).parents[3] / "bundles" / "demo"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open(BUNDLE)


def parse(text: str) -> model_config_pb2.ModelConfig:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("kind", list(InstanceKind))
@pytest.mark.parametrize("instances", [1, 3])
def test_it_is_a_model_configuration_with_the_bundles_shapes(
    bundle: Bundle, kind: InstanceKind, instances: int
) -> None:
    config = parse(model_config(bundle, max_batch=16, instances=instances, kind=kind))
    latent = list(bundle.manifest.latent.as_tuple())
    assert config.name == model_name(bundle.id) == f"decoder_{bundle.hex_id}"
    assert config.backend == "onnxruntime"
    assert config.max_batch_size == 16
    assert [(item.name, item.data_type, list(item.dims)) for item in config.input] == [
        ("symbols", model_config_pb2.TYPE_INT8, latent),
        ("level", model_config_pb2.TYPE_INT32, [1]),
    ]
    (labels,) = config.output
    assert (labels.name, labels.data_type) == ("labels", model_config_pb2.TYPE_UINT8)
    assert list(labels.dims) == [bundle.manifest.input.height, bundle.manifest.input.width]
    (group,) = config.instance_group
    assert (group.count, model_config_pb2.ModelInstanceGroup.Kind.Name(group.kind)) == (instances, kind.value)


def test_each_declared_output_is_in_it_in_its_order(bundle: Bundle) -> None:
    scene = Output("scene", "scores", "float32", (3,), "raw")
    two = replace(bundle, manifest=replace(bundle.manifest, schema=2, outputs=(*bundle.manifest.outputs, scene)))
    config = parse(model_config(two))
    assert [(item.name, item.data_type, list(item.dims)) for item in config.output] == [
        ("labels", model_config_pb2.TYPE_UINT8, [360, 480]),
        ("scene", model_config_pb2.TYPE_FP32, [3]),
    ]
    assert len(config.input) == 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_triton_has_a_name_for_every_dtype(dtype: str) -> None:
    assert np_to_triton_dtype(np.dtype(dtype)) == DATA_TYPES[dtype]
    assert f"TYPE_{DATA_TYPES[dtype]}" in model_config_pb2.DataType.keys()  # noqa: SIM118 - no mapping


def test_batches_are_joined_without_the_settings_that_stall_triton(bundle: Bundle) -> None:
    batching = parse(model_config(bundle)).dynamic_batching
    assert 0 < batching.max_queue_delay_microseconds <= 5000
    assert not batching.HasField("default_queue_policy")
    assert batching.priority_levels == 0


def test_tensorrt_is_asked_for_on_a_gpu_only(bundle: Bundle) -> None:
    assert parse(model_config(bundle, backend=Backend.TENSORRT)).backend == "tensorrt"
    with pytest.raises(ValueError, match="TensorRT"):
        model_config(bundle, kind=InstanceKind.CPU, backend=Backend.TENSORRT)


@pytest.mark.parametrize(("max_batch", "instances"), [(0, 1), (1, 0)])
def test_counts_below_one_are_refused(bundle: Bundle, max_batch: int, instances: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        model_config(bundle, max_batch=max_batch, instances=instances)


def test_the_repository_holds_its_configurations_and_the_network(bundle: Bundle, tmp_path: Path) -> None:
    for _ in range(2):
        folder = fill_repository(bundle, tmp_path, max_batch=4)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    name = model_name(bundle.id)
    configurations = [f"{name}/config.pbtxt", f"{name}/configs/cpu.pbtxt", f"{name}/configs/tensorrt.pbtxt"]
    assert files == [f"{name}/1/model.cpu.onnx", f"{name}/1/model.int8.onnx", f"{name}/1/model.onnx", *configurations]
    assert (folder / "1" / "model.onnx").read_bytes() == bundle.decoder_path.read_bytes()
    assert (folder / "1" / "model.int8.onnx").read_bytes() == bundle.int8_decoder_path.read_bytes()
    assert (folder / "1" / "model.cpu.onnx").read_bytes() == bundle.cpu_decoder_path.read_bytes()
    gpu, cpu = (parse((folder / path).read_text()) for path in ("config.pbtxt", "configs/cpu.pbtxt"))
    assert gpu.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert cpu.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_CPU
    assert gpu.max_batch_size == cpu.max_batch_size == 4
    assert (gpu.default_model_filename, cpu.default_model_filename) == ("", "model.cpu.onnx")
    assert "model.cpu.onnx" not in (folder / "configs" / "tensorrt.pbtxt").read_text()


def test_a_bundle_that_lost_its_int8_decoder_leaves_none_in_the_repository(bundle: Bundle, tmp_path: Path) -> None:
    folder = fill_repository(bundle, tmp_path)
    fill_repository(replace(bundle, int8_decoder=None, cpu_decoder=None), tmp_path)
    assert [path.name for path in (folder / "1").iterdir()] == ["model.onnx"]
    assert not parse((folder / "configs" / "cpu.pbtxt").read_text()).default_model_filename


def test_a_bundle_with_heads_is_served_in_float_on_processors_too(bundle: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    (copy / DECODER_HEADS).write_bytes(b"all in one")
    joined = replace(bundle, folder=copy, heads=Heads(merged=FileEntry("0" * 64, 1)))
    fill_repository(bundle, tmp_path / "models")
    folder = fill_repository(joined, tmp_path / "models")
    assert not parse((folder / "configs" / "cpu.pbtxt").read_text()).default_model_filename
    assert (folder / "1" / "model.onnx").read_bytes() == b"all in one"
    assert (folder / "1" / "model.cpu.onnx").is_file(), "a server that has yet to load the heads may scale it"


def test_the_committed_configurations_are_those_of_the_demo_bundle(bundle: Bundle) -> None:
    repository = BUNDLE.parents[1] / "model_repository"
    described = sorted(path.name for path in repository.iterdir() if path.is_dir())
    assert model_name(bundle.id) in described, "run `narrows export` for the demo bundle, and remove the old folder"
    folder = repository / model_name(bundle.id)
    assert (folder / "config.pbtxt").read_text() == model_config(bundle, kind=InstanceKind.GPU)
    assert (folder / "configs" / "cpu.pbtxt").read_text() == model_config(bundle, kind=InstanceKind.CPU)
