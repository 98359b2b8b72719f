"""``config.pbtxt``: one text that loads unchanged in the public Triton container and in the local server."""

from __future__ import annotations

from enum import StrEnum

from narrows.contract.bundle import Bundle, Heads, format_id
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


def model_name(bundle_id: int) -> str:
    """The name under which Triton serves a bundle's decoder: ``decoder_`` and 16 hexadecimal digits."""
    return f"decoder_{format_id(bundle_id)}"


def model_config(
    bundle: Bundle,
    *,
    max_batch: int = 8,
    instances: int = 1,
    kind: InstanceKind = InstanceKind.GPU,
    backend: Backend = Backend.ONNXRUNTIME,
) -> str:
    """The configuration of a bundle's decoder, in protobuf text format.

    Queue policies, queue sizes and priorities are left out on purpose: deadlines, bounds and priorities belong to the
    dispatcher, and Triton 2.51 stalls for half a second at a time when it has any of them.

    Args:
        bundle: whose shapes and id it describes.
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
        name=model_name(bundle.id),
        max_batch=max_batch,
        latent=_dims(bundle.manifest.latent.as_tuple()),
        outputs=",\n".join(map(_output, bundle.outputs)),
        instances=instances,
        kind=kind.value,
        delay_us=QUEUE_DELAY_US,
        file=f'default_model_filename: "{CPU_MODEL}"\n'
        if kind is InstanceKind.CPU and runs_cpu_decoder(bundle)
        else "",
        threads=_CPU_THREADS if kind is InstanceKind.CPU else "",
        heads="".join(_PARAMETER.format(key=key, value=value) for key, value in head_parameters(bundle.heads).items()),
        backend=backend.value,
    )


def runs_cpu_decoder(bundle: Bundle) -> bool:
    """Whether processors are given another graph than GPUs."""
    return bundle.served_cpu_path != bundle.served_path


def head_parameters(heads: Heads) -> dict[str, str]:
    """What a model's configuration says of its heads: ``head_NAME`` and the version, for each."""
    return {head_parameter(head.name): head.version for head in heads.heads}


def head_parameter(name: str) -> str:
    """The parameter of a model's configuration that holds the version of a head."""
    return f"{HEAD_PREFIX}{name}"


def _output(output: Output) -> str:
    return f'  {{ name: "{output.name}" data_type: TYPE_{DATA_TYPES[output.dtype]} dims: {_dims(output.shape)} }}'


def _dims(shape: tuple[int, ...]) -> str:
    return "[ " + ", ".join(map(str, shape)) + " ]"


_TEMPLATE = """\
# Written by `narrows export`: change it there.
name: "{name}"
backend: "{backend}"
{file}max_batch_size: {max_batch}
input [
  {{ name: "symbols" data_type: TYPE_INT8 dims: {latent} }},
  {{ name: "level" data_type: TYPE_INT32 dims: [ 1 ] }}
]
output [
{outputs}
]
version_policy {{ latest {{ num_versions: 1 }} }}
instance_group [ {{ count: {instances} kind: {kind} }} ]
dynamic_batching {{ max_queue_delay_microseconds: {delay_us} }}
model_warmup [
  {{
    name: "one"
    batch_size: 1
    inputs {{ key: "symbols" value {{ data_type: TYPE_INT8 dims: {latent} zero_data: true }} }}
    inputs {{ key: "level" value {{ data_type: TYPE_INT32 dims: [ 1 ] zero_data: true }} }}
  }}
]
{threads}{heads}"""

_PARAMETER = 'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'
_CPU_THREADS = "".join(_PARAMETER.format(key=f"{kind}_op_thread_count", value=1) for kind in ("intra", "inter"))
