"""What a loaded model's configuration becomes when its bundle's heads change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from narrows.contract.bundle import ServedModel
from narrows.runtime.triton_config.config import CPU_MODEL, HEAD_PREFIX, Backend, head_parameters, runs_cpu_decoder
from narrows.runtime.triton_config.data_types import DATA_TYPES

_CPU = "KIND_CPU"


def with_heads_of(config: Mapping[str, Any], model: ServedModel) -> dict[str, Any]:
    """The configuration, as Triton tells it in JSON, with the outputs, heads and graph of ``model`` as it is now.

    Instances and all else stay. The graph is the one that :func:`narrows.runtime.triton_config.fill_repository` wrote
    for servers like this: a twin for processors answers for the decoder alone, so heads need the other file.
    """
    kept = {k: v for k, v in config.get("parameters", {}).items() if not k.startswith(HEAD_PREFIX)}
    heads = {key: {"string_value": version} for key, version in head_parameters(model.heads).items()}
    outputs = [
        {"name": each.name, "data_type": f"TYPE_{DATA_TYPES[each.dtype]}", "dims": list(map(str, each.shape))}
        for each in model.outputs
    ]
    changed = {**config, "parameters": kept | heads, "output": outputs}
    if config.get("backend") == Backend.ONNXRUNTIME:
        changed["default_model_filename"] = CPU_MODEL if _on_cpu(config) and runs_cpu_decoder(model) else ""
    return changed


def _on_cpu(config: Mapping[str, Any]) -> bool:
    groups = config.get("instance_group", ())
    return bool(groups) and all(group.get("kind") == _CPU for group in groups)
