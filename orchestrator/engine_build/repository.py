"""Engines into a model repository: from the cache, else built; a model without one stays with ONNX Runtime.

::

    models/decoder_<bundle id>/config.pbtxt           ONNX Runtime's, until an engine is there
                               configs/tensorrt.pbtxt takes its place then
                               1/model.onnx           what FP16 and FP32 engines are built from
                               1/model.int8.onnx      what INT8 engines are, where the bundle's accuracy holds
                               1/model.plan           the engine
    engines/decoder_<bundle id>-fp16-<digest>.plan    the cache
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.engine_build.plan import BuildMachine, EngineKey, shapes_of, trtexec_arguments, why_none

Build = Callable[[list[str]], "str | None"]
"""Runs trtexec with these options; answers why it failed, ``None`` if it did not."""


def fill(models: Path, cache: Path, machine: BuildMachine, precision: str, build: Build) -> Iterator[str]:
    """Do it for every model; yields a line on each. A failed build costs its own model the engine, nothing else.

    Where there is no INT8 engine to be had, FP16 takes its place, and a line says why.

    Raises:
        OSError: a folder cannot be read or written.
    """
    nothing = why_none(machine, precision)
    for folder in sorted(models.glob("decoder_*")):
        used, reason = precision, nothing or _fill_one(folder, cache, machine, precision, build)
        if reason is not None and nothing is None and precision == "int8":
            yield f"{folder.name}: no INT8 engine, FP16 is tried: {reason}"
            used, reason = "fp16", _fill_one(folder, cache, machine, "fp16", build)
        if reason is None:
            yield f"{folder.name}: TensorRT {machine.tensorrt}, {used}, on {machine.gpu}"
        else:
            yield f"{folder.name}: no TensorRT engine, Triton's ONNX Runtime serves it: {reason}"


def _fill_one(folder: Path, cache: Path, machine: BuildMachine, precision: str, build: Build) -> str | None:
    onnx = folder / "1" / ("model.int8.onnx" if precision == "int8" else "model.onnx")
    if precision == "int8" and not onnx.is_file():
        return "the bundle has no int8 decoder (`narrows bundle quantise` makes one where accuracy holds)"
    try:
        shapes = shapes_of((folder / "config.pbtxt").read_text())
    except ValueError as error:
        return str(error)
    graph = hashlib.sha256(onnx.read_bytes()).hexdigest()
    key = EngineKey(folder.name, graph, str(machine.tensorrt), str(machine.gpu), precision, shapes[-1])
    plan = cache / key.file_name
    if not plan.is_file():
        partial = plan.with_suffix(".partial")
        failed = build(trtexec_arguments(str(onnx), str(partial), shapes, precision))
        if failed is not None:
            partial.unlink(missing_ok=True)
            return failed
        partial.replace(plan)
    _put(plan, folder / "1" / "model.plan")
    _put(folder / "configs" / "tensorrt.pbtxt", folder / "config.pbtxt")
    return None


def _put(source: Path, target: Path) -> None:
    partial = target.with_suffix(target.suffix + ".partial")
    shutil.copyfile(source, partial)
    partial.replace(target)
