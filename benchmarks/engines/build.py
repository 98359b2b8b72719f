"""Parse and build one graph in the environment that has TensorRT-RTX: JSON in, JSON out, no package of ours.

The one argument is ``{"graph": "decoder.onnx", "capability": "SM89", "batches": [1, 4, 8]}``, the answer one line.
Layers are the parser's; fused layers are the kernels that the built engine names in its log.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import sys
import time
from collections import Counter
from typing import Any

PACKAGE = "tensorrt_rtx_cu12_libs"
_KERNEL = re.compile(r"^Name: .*?, LayerType: (\w+),", re.MULTILINE)
_NO_KERNELS = ("shape_call", "signal", "wait")
"""What Myelin lists among its kernels and is none: shapes, and the streams that wait for each other."""
_WORDS = 3


def main() -> None:
    """Build what is asked for and print what came of it."""
    asked = json.loads(sys.argv[1])
    rtx = importlib.import_module("tensorrt_rtx_bindings.tensorrt_rtx")
    found = _build(rtx, asked["graph"], asked["capability"], asked["batches"])
    print(json.dumps({**found, "version": importlib.metadata.version(PACKAGE)}))


def _build(rtx: Any, graph: str, capability: str, batches: list[int]) -> dict[str, Any]:  # noqa: ANN401 - untyped
    log = _log_of(rtx)
    builder = rtx.Builder(log)
    network = builder.create_network(0)
    parser = rtx.OnnxParser(network, log)
    if not parser.parse_from_file(graph):
        errors = [str(parser.get_error(place)) for place in range(parser.num_errors)]
        return {"refused": "; ".join(errors[:_WORDS])}
    config = _config(rtx, builder, network, capability, batches)
    log.lines.clear()
    began = time.monotonic()
    plan = builder.build_serialized_network(network, config)
    seconds = time.monotonic() - began
    if plan is None:
        return {"refused": "; ".join(log.errors[-_WORDS:]) or "the builder gave no reason"}
    kinds = Counter(kind for line in log.lines for kind in _KERNEL.findall(line) if kind not in _NO_KERNELS)
    return {
        "layers": network.num_layers,
        "fused_layers": sum(kinds.values()),
        "kinds": dict(kinds.most_common()),
        "size_bytes": plan.nbytes,
        "seconds": round(seconds, 2),
    }


def _config(rtx: Any, builder: Any, network: Any, capability: str, batches: list[int]) -> Any:  # noqa: ANN401
    """One target, every name kept for the log, and a profile from the smallest to the largest batch."""
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(rtx.ComputeCapability, capability), 0)
    config.profiling_verbosity = rtx.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    for place in range(network.num_inputs):
        tensor = network.get_input(place)
        rest = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, *((batch, *rest) for batch in batches))
    config.add_optimization_profile(profile)
    return config


def _log_of(rtx: Any) -> Any:  # noqa: ANN401
    class Log(rtx.ILogger):  # type: ignore[misc]  # untyped base
        """Keeps what the builder says."""

        def __init__(self) -> None:
            rtx.ILogger.__init__(self)
            self.lines: list[str] = []
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:  # noqa: ANN401
            (self.errors if severity <= rtx.ILogger.ERROR else self.lines).append(text)

    return Log()


if __name__ == "__main__":
    main()
