"""What is to be built, and under which name it is kept. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

PRECISIONS = ("int8", "fp16", "fp32", "none")
_FLAGS = {"int8": ["--int8", "--fp16"], "fp16": ["--fp16"], "fp32": []}
_BATCH = re.compile(r"^max_batch_size: (\d+)$", re.MULTILINE)
_INPUT = re.compile(r'^ *\{ name: "(\w+)" data_type: \w+ dims: \[ ([\d, ]+) \] \},?$', re.MULTILINE)
_VERSION = re.compile(r"\[TensorRT v(\d+)\]")


@dataclass(frozen=True)
class BuildMachine:
    """What builds and runs engines here; ``None`` where there is no such thing.

    Attributes:
        tensorrt: the version, as trtexec says it.
        gpu: name and compute capability of the GPU, as nvidia-smi says them; all GPUs of a host are taken as alike.
    """

    tensorrt: str | None
    gpu: str | None


@dataclass(frozen=True)
class EngineKey:
    """An engine is good for exactly this; anything else needs another one.

    Attributes:
        model: ``decoder_`` and the bundle's id.
        graph: SHA-256 of the ONNX file that it is built from; the id does not cover the int8 one.
        shapes: as :func:`shapes_of` answers them.
    """

    model: str
    graph: str
    tensorrt: str
    gpu: str
    precision: str
    shapes: str

    @property
    def file_name(self) -> str:
        """Readable as far as it goes, and different for each key."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
        return f"{self.model}-{self.precision}-{digest}.plan"


def why_none(machine: BuildMachine, precision: str) -> str | None:
    """Why no engine is to be built; ``None`` where one is."""
    if precision not in PRECISIONS:
        return f"PRECISION is {precision!r}; it is one of {', '.join(PRECISIONS)}"
    if precision == "none":
        return "PRECISION is none"
    if machine.gpu is None:
        return "there is no GPU"
    if machine.tensorrt is None:
        return "there is no trtexec in this image"
    return None


def shapes_of(config: str) -> tuple[str, str, str]:
    """The smallest, usual and largest input shapes of a model, as trtexec takes them, from its ``config.pbtxt``.

    Raises:
        ValueError: the text is not one that `narrows bundle install` wrote.
    """
    batch, inputs = _BATCH.search(config), _INPUT.findall(config.partition("output [")[0])
    if batch is None or not inputs:
        raise ValueError("config.pbtxt names no batch size or no inputs: run `narrows bundle install` again")
    most = int(batch[1])

    def at(size: int) -> str:
        return ",".join(f"{name}:{'x'.join([str(size), *dims.split(', ')])}" for name, dims in inputs)

    return at(1), at(max(1, most // 2)), at(most)


def trtexec_arguments(onnx: str, plan: str, shapes: tuple[str, str, str], precision: str) -> list[str]:
    """The options of one build. INT8 needs no calibrator: the graph says what is quantised; the rest may be FP16."""
    smallest, usual, largest = shapes
    return [
        f"--onnx={onnx}",
        f"--saveEngine={plan}",
        f"--minShapes={smallest}",
        f"--optShapes={usual}",
        f"--maxShapes={largest}",
        "--skipInference",
        *_FLAGS[precision],
    ]


def version_in(said: str) -> str | None:
    """TensorRT's version in what trtexec prints."""
    found = _VERSION.search(said)
    return found[1] if found else None
