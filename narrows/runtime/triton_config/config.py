"""``config.pbtxt``: one text that loads unchanged in the public Triton container and in the local server."""

from __future__ import annotations

from enum import StrEnum

from narrows.contract.bundle import Heads, ModelInput, ServedModel, format_id
from narrows.contract.outputs import Output
from narrows.runtime.triton_config.data_types import DATA_TYPES

QUEUE_DELAY_US = 1000
HEAD_PREFIX = "head_"
CPU_MODEL = "model.cpu.onnx"


class Backend(StrEnum):
    """What runs the network: ``1/model.onnx`` (on a CPU perhaps its int8 twin), or the engine in ``1/model.plan``."""

    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"


class InstanceKind(StrEnum):
    """Where instances run."""

    GPU = "KIND_GPU"
    CPU = "KIND_CPU"


def model_name(model_id: int) -> str:
    """The name under which Triton serves a model: ``decoder_`` and the 16 hexadecimal digits of its id.

    A joint decoder has its bundle's id, a tail of a split network one of its own (``narrows bundle show``).
    """
    return f"decoder_{format_id(model_id)}"


def model_config(
    model: ServedModel,
    *,
    max_batch: int = 8,
    instances: int = 1,
    kind: InstanceKind = InstanceKind.GPU,
    backend: Backend = Backend.ONNXRUNTIME,
) -> str:
    """The configuration of a joint decoder or a tail, in protobuf text format.

    A tail that takes one picture at a time has no batches: its first side is written out.

    Queue policies, queue sizes and priorities are left out on purpose: deadlines, bounds and priorities belong to the
    dispatcher, and Triton 2.51 stalls for half a second at a time when it has any of them.

    Args:
        model: whose shapes and id it describes.
        max_batch: the largest batch that Triton runs.
        instances: how many copies run side by side (for each GPU), until the autoscaler changes it.
        kind: where they run.
        backend: TensorRT on a GPU only.

    Raises:
        ValueError: counts below one, or TensorRT on a CPU.
    """
    if max_batch < 1 or instances < 1:
        raise ValueError(f"max_batch {max_batch} and instances {instances} must be at least 1")
    if backend is Backend.TENSORRT and kind is InstanceKind.CPU:
        raise ValueError("TensorRT needs InstanceKind.GPU")
    return _TEMPLATE.format(
        name=model_name(model.id),
        max_batch=max_batch if model.batched else 0,
        inputs=",\n".join(_input(each, batched=model.batched) for each in model.inputs),
        warm_inputs="\n".join(_warm_input(each, batched=model.batched) for each in model.inputs),
        outputs=",\n".join(_output(output, batched=model.batched) for output in model.outputs),
        warm_batch="\n    batch_size: 1" if model.batched else "",
        instances=instances,
        kind=kind.value,
        batching=_BATCHING if model.batched else "",
        file=f'default_model_filename: "{CPU_MODEL}"\n' if kind is InstanceKind.CPU and runs_cpu_decoder(model) else "",
        threads=_CPU_THREADS if kind is InstanceKind.CPU else "",
        heads="".join(_PARAMETER.format(key=key, value=value) for key, value in head_parameters(model.heads).items()),
        backend=backend.value,
    )


def runs_cpu_decoder(model: ServedModel) -> bool:
    """Whether processors are given another graph than GPUs."""
    return model.served_cpu_path != model.served_path


def head_parameters(heads: Heads) -> dict[str, str]:
    """What a model's configuration says of its heads: ``head_NAME`` and the version, for each."""
    return {head_parameter(head.name): head.version for head in heads.heads}


def head_parameter(name: str) -> str:
    """The parameter of a model's configuration that holds the version of a head."""
    return f"{HEAD_PREFIX}{name}"


def _input(given: ModelInput, *, batched: bool) -> str:
    dims = _dims(given.shape, batched=batched)
    return f'  {{ name: "{given.name}" data_type: TYPE_{DATA_TYPES[given.dtype]} dims: {dims} }}'


def _warm_input(given: ModelInput, *, batched: bool) -> str:
    dims = _dims(given.shape, batched=batched)
    value = f"{{ data_type: TYPE_{DATA_TYPES[given.dtype]} dims: {dims} zero_data: true }}"
    return f'    inputs {{ key: "{given.name}" value {value} }}'


def _output(output: Output, *, batched: bool) -> str:
    dims = _dims(output.shape, batched=batched)
    return f'  {{ name: "{output.name}" data_type: TYPE_{DATA_TYPES[output.dtype]} dims: {dims} }}'


def _dims(shape: tuple[int, ...], *, batched: bool) -> str:
    return "[ " + ", ".join(map(str, shape if batched else (1, *shape))) + " ]"


_TEMPLATE = """\
# Written by `narrows export`: change it there.
name: "{name}"
backend: "{backend}"
{file}max_batch_size: {max_batch}
input [
{inputs}
]
output [
{outputs}
]
version_policy {{ latest {{ num_versions: 1 }} }}
instance_group [ {{ count: {instances} kind: {kind} }} ]
{batching}model_warmup [
  {{
    name: "one"{warm_batch}
{warm_inputs}
  }}
]
{threads}{heads}"""

_PARAMETER = 'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
_BATCHING = f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_DELAY_US} }}\n"
_CPU_THREADS = "".join(_PARAMETER.format(key=f"{kind}_op_thread_count", value=1) for kind in ("intra", "inter"))
