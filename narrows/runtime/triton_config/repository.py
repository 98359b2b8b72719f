"""A bundle's folder in the model repository that Triton loads."""

from __future__ import annotations

from pathlib import Path

from narrows.contract.bundle import ServedModel
from narrows.contract.errors import ServiceError
from narrows.runtime.triton_config.config import (
    CPU_MODEL,
    Backend,
    InstanceKind,
    model_config,
    model_name,
    runs_cpu_decoder,
)


def fill_repository(model: ServedModel, repository: Path, *, max_batch: int = 8, instances: int = 1) -> Path:
    """Write a joint decoder or a tail and its configurations into ``repository``; answers the model's folder.

    ::

        repository/decoder_<id>/
        ├── config.pbtxt          for a GPU, as the public container reads it
        ├── configs/cpu.pbtxt     for tritonserver --model-config-name=cpu
        ├── configs/tensorrt.pbtxt for the engine that orchestrator.engine_build puts into 1/model.plan
        ├── 1/model.onnx          copied from the bundle, heads and all; not under version control
        ├── 1/model.int8.onnx     likewise, where the bundle has one: what INT8 engines are built from
        └── 1/model.cpu.onnx      likewise: what configs/cpu.pbtxt names then in place of model.onnx

    What was there is overwritten file by file, the network first: a server that looks in between sees a whole model.

    Raises:
        ServiceError: it cannot be written, the disk is full for one.
        ValueError: as :func:`narrows.runtime.triton_config.model_config`.
    """
    gpu = model_config(model, max_batch=max_batch, instances=instances, kind=InstanceKind.GPU)
    cpu = model_config(model, max_batch=max_batch, instances=instances, kind=InstanceKind.CPU)
    engine = model_config(model, max_batch=max_batch, instances=instances, backend=Backend.TENSORRT)
    folder = repository / model_name(model.id)
    try:
        for name in ("1", "configs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        _replace(folder / "1" / "model.onnx", model.served_path.read_bytes())
        _copy_int8(model, folder / "1" / "model.int8.onnx")
        if runs_cpu_decoder(model):
            _replace(folder / "1" / CPU_MODEL, model.served_cpu_path.read_bytes())
        _replace(folder / "configs" / "cpu.pbtxt", cpu.encode())
        _replace(folder / "configs" / "tensorrt.pbtxt", engine.encode())
        _replace(folder / "config.pbtxt", gpu.encode())
        if not model.has_cpu_decoder:  # beside heads it stays: a server that has yet to load them may scale it
            (folder / "1" / CPU_MODEL).unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(f"the model repository {repository} cannot be filled: {error}") from None
    return folder


def _copy_int8(model: ServedModel, path: Path) -> None:
    if model.served_int8_path is None:
        path.unlink(missing_ok=True)
    else:
        _replace(path, model.served_int8_path.read_bytes())


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_suffix(path.suffix + ".partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
